// Package localfs keeps objects as plain files in one folder of the local file
// system, so that a store can be looked at, copied and backed up with ordinary
// tools. Any number of processes on one machine may use a folder at once.
//
// # Files
//
// The segments of a key are folders and the last one is a file:
// "runs/churn_17_ab12/run.json" is the file of that path. Names that some file
// system could not keep apart or keep at all are escaped, reversibly and
// without looking at the file system in use, so that a folder can be moved
// between systems:
//
//   - Bytes other than letters, digits, spaces and -_.+=,@#()[]{}! become "%"
//     and two lower-case hexadecimal digits; so do a leading dot or space, a
//     trailing one, and the first letter of a name that Windows reserves.
//   - Upper-case letters stay readable, and "%u" with a bit mask of their
//     places is added (one hexadecimal digit for four letters, the first
//     letter in the lowest bit): "Churn.json%u1" and "churn.json" are two
//     files also where case is ignored.
//   - An object "a" and the prefix of "a/b" need two names. File names hold a
//     dot and folder names don't; one that is the other way round gets a "%"
//     at its end: the file "a%" beside the folder "a".
//   - A segment that is too long for one name is cut into parts, all but the
//     last one being folders whose names end in "%+".
//
// Files whose names don't follow these rules are not seen. The folder
// ".localfs" is the store's own: temporary files, locks, the journal of changes,
// and the spool.
//
// # Writing
//
// Put writes a temporary file, syncs it, moves it into place, and syncs the
// folder. Creating is a rename that fails when the name is taken (renameat2 of
// Linux), else link(2); where neither is supported it is a plain rename. Whatever
// changes an object holds an advisory lock on one of 256 files, picked by the key:
// creating for that one step, replacing, appending and deleting from the look at the state before on.
// What a Put has to wait for it waits for without the lock: creating when the file
// is synced.
//
// The ETag is made of modification time, size and inode. The modification time
// is set by the store: always later than that of the state before, and later
// than that of any deleted object under the same lock (kept as the
// modification time of the lock file).
//
// # Following
//
// Each key is named in a journal before its object changes, under the key's
// lock. Who follows the store reads the journal, and learns from the lock
// whether the last write of a key is over ([Store.Changes]).
//
// # Crashes
//
// After a crash a Put was done wholly or not at all. An Append to an existing
// object writes in place: after a crash in its middle the object may have grown
// by any part of the data (and, on file systems that write sizes before data,
// hold zeros there). Nothing that was acknowledged is touched, an Append again
// at the old offset fails with ErrConflict, and Stat tells the size to go on
// from. Writers that care frame their data with checksums.
package localfs
