-- Version 3 of the embedded log. Nothing changes in it: a program of version 2 cannot read campaigns with the rules that
-- came with it, and would record purchases without what they cost.
PRAGMA user_version = 3;
