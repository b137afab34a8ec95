package localfs

import "io/fs"

// hasInodes is false: a FileInfo has no file number here, so creating takes
// the key's lock, which keeps modification times, and so ETags, apart.
const hasInodes = false

func inode(fs.FileInfo) uint64 { return 0 }

// syncFolder does nothing: Windows has no way to sync a folder, and NTFS
// journals names by itself.
func syncFolder(*tree, string) error { return nil }

func isQuota(error) bool { return false }

func noLinks(error) bool { return true }
