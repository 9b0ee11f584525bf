-- The records of no policy count for every policy of their cluster, and are looked for without all the others.
create index record_manual on record (cluster, at, id) where policy is null;
