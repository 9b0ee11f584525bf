//! Backup driver of Aegis for directories and files, in restic's repository format.
