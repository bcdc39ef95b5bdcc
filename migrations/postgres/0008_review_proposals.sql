-- What one person has proposed to do with a held line, as JSON: whoever is second sees it in the list.

ALTER TABLE read_models.transactions ADD COLUMN proposal text COLLATE "C";
