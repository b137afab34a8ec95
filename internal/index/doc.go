// Package index is the search index of a workspace: a SQLite file below the
// cache folder that holds what records and metrics say, so that a search need
// not read them. The objects of the workspace are the truth; the index can be
// deleted at any time and is built again.
//
// Before each search the index is brought up to date: with what the store's
// change feed names, or by comparing a listing with what was indexed. So a
// search sees all changes, of any process, that were done when it began. Runs
// that go on are looked at each time: whether their process is still there, and
// what was logged meanwhile.
//
// Runs, experiments and models are items in the same tables. A field of an item,
// an attribute as well as a metric or a tag, is a row in the table of numbers or
// of texts, found both by item and by value.
//
// Any number of processes use one file; one at a time brings it up to date. A
// file is never repaired: one that is damaged is left behind for a new one with
// the next number. Where the folder can't be written, a database in memory takes
// its place.
//
// The files here go by topic: the database (database, conn, layout, heal), what
// is indexed (kind, runs, experiments, models, summary), keeping it up to date
// (index, gate, look, compare, fetch, write), and searching (search, plan, sql,
// keyset, token).
package index
