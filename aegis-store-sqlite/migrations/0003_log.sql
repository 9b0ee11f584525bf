-- Where the log starts: everything up to this position was let go, and what the rest is linked to is in the document.
-- No row as long as nothing was.
create table log_start (
    only_one integer primary key check (only_one = 1),
    position integer not null,
    document text not null
) strict;
