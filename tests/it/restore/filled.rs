//! Columns that live has and the backup had not, and the values that `[[fill]]` gives them.
