// Package layer makes layers of container images: what a command changes in the file
// system of the container that it runs in. It does so on Linux.
package layer
