//! Read models made anew from the log, and compared with the running ones.
