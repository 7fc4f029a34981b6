//! Promises about many members, kept in virtual time.

mod basic;
