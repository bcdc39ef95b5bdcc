-- Every version of a campaign's terms, whether in force or not, and campaigns that start by themselves.

CREATE TABLE read_models.campaign_versions (
    campaign_id text COLLATE "C" NOT NULL,
    version     bigint           NOT NULL,
    position    bigint           NOT NULL UNIQUE,
    terms       text COLLATE "C" NOT NULL,
    author      text COLLATE "C" NOT NULL,
    approved_by text COLLATE "C",
    PRIMARY KEY (campaign_id, version)
);

-- Until now a campaign had one version, which whoever drafted it could approve.
INSERT INTO read_models.campaign_versions (campaign_id, version, position, terms, author, approved_by)
SELECT c.campaign_id, c.version, c.position, c.terms, '', CASE WHEN c.status = 'draft' THEN NULL ELSE '' END
FROM read_models.campaigns c;

ALTER TABLE read_models.campaigns DROP CONSTRAINT campaigns_status_check;
ALTER TABLE read_models.campaigns ADD CONSTRAINT campaigns_status_check
    CHECK (status IN ('draft', 'approved', 'scheduled', 'active', 'paused', 'ended'));
