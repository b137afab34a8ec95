// Package dataset holds references to data, versioned: files of datastores, or the
// rows of tables in them. The data stays where it is.
//
// A [Dataset] is immutable and lazy: a definition (where the data is, how it is
// read, what is made of it) that is looked at when the data is. Each transform
// gives another dataset. Registering gives a definition a name and a version, and
// notes what it pointed to; [Dataset.Check] tells what has changed since.
package dataset
