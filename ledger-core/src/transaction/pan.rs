//! Card numbers have no place here: they are refused before anything is stored.
