// Package mount shows files as a folder of this machine through FUSE: an fs.FS to be
// read, or a folder of which each file that is written and closed is told of.
// Elsewhere than on Linux, and where FUSE is not allowed, it gives ErrUnsupported.
//
// The process that mounts serves what is mounted. So it must not start a program
// whose working folder is in the mount: between fork and exec nothing else of the
// process may run.
package mount
