// Package snapshot says what of a source folder goes into a run's snapshot,
// and puts it there.
//
// # What is left out
//
// When the folder holds a file .amlignore, the files of that name count, in
// the folder and at every level below; else the files .gitignore do. The two
// are never mixed. They mean what they mean to git (package gitignore). Like
// git, Scan does not read an ignore file that is a symbolic link, and says so.
// Only ignore files inside the source folder are read, none above it.
//
// Version control (.git) never goes along. Virtual environments, caches and
// azml's own workspaces don't either, unless Options.NoDefaults is set or a
// pattern takes the folder back by its very name, such as "!node_modules/".
// "!*/" does not: it speaks of everything and means nothing in particular.
//
// # Symbolic links
//
// A relative link that stays inside the folder stays a link, also when what it
// points to is missing or ignored, which is warned about. Any other link is
// replaced by what it points to, be it a file or a folder, so that a run on
// another machine finds it; when that is missing, the link is left out. For
// patterns such a link to a folder is a folder. One that leads back into a
// folder being read is left out, and inside a folder reached by a link each
// further folder is taken only once.
//
// # Odd files
//
// What can't be read, vanishes while it is read, is no file (sockets, devices,
// pipes) or has a name that is not UTF-8 is skipped and listed with its reason.
// Modes are kept as they are; owners and times don't go along.
package snapshot
