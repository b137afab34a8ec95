// Package expr is the language in which rows of tables are chosen:
//
//	age >= 18 and (country in ('CH', 'LI') or starts_with(name, 'A')) and not blocked
//
// It has the words of the language of searches (docs/search.md), but its fields
// are the columns of a table, which have types: numbers compare with numbers,
// times with texts in ISO 8601, columns with columns. A comparison with a missing
// value is unknown, as in SQL, and only rows of which the whole is true are chosen.
package expr
