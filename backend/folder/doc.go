// Package folder keeps the files of a datastore in a folder of this machine or
// of a network file system, under their own names, so that any program can read
// and write them.
//
// A file is written under another name, synced, and linked or renamed into its
// place: nobody sees half of one. No path and no link leads out of the folder.
// What is neither a file nor a link to one in the folder is not listed; links
// to folders are not followed in listings.
package folder
