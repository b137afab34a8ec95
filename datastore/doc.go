// Package datastore names the places where data lies: folders, containers and
// buckets of object stores, web servers, databases. Get a Client from a
// workspace's Datastores method.
//
// A datastore is a record with the facts of a connection. Its credentials are
// in the workspace's secret store, so programs and scripts hold none. The data
// stays where it is: registering copies nothing, and unregistering deletes
// nothing.
//
// Files are read as streams, by ranges (Reader is an io.ReaderAt) or as an
// fs.FS, whole folders go up and down by Upload and Download, databases answer
// queries. Every workspace has the datastore "workspaceblobstore" of its own,
// which is the default until another is.
package datastore
