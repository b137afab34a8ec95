// Package sqlite asks a SQLite database file, which others may be writing
// meanwhile. It is opened for reading only, with no trust in what its schema
// calls, and each query is a transaction of its own. The file must be on this
// machine's disks: SQLite's locks don't hold on network file systems.
package sqlite
