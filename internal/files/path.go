package files

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/azml-go/azml"
)

// maxPath bounds a path and a link target, in bytes (PATH_MAX on Linux).
const maxPath = 4096

// ValidPath tells whether p can be the path of an entry: relative, parted by
// "/", UTF-8, at most 4096 bytes, without NUL, backslash, empty, "." or ".."
// segments. The error wraps ErrInvalid.
func ValidPath(p string) error {
	switch {
	case len(p) > maxPath:
		return fmt.Errorf("%w: path of %d bytes is longer than %d: %.60q…", azml.ErrInvalid, len(p), maxPath, p)
	case !utf8.ValidString(p):
		return fmt.Errorf("%w: path is not UTF-8, rename it: %q", azml.ErrInvalid, p)
	case p == "." || !fs.ValidPath(p):
		return fmt.Errorf("%w: path is not relative and clean: %q", azml.ErrInvalid, p)
	case strings.ContainsAny(p, "\\\x00"):
		return fmt.Errorf("%w: path holds a backslash or NUL, rename it: %q", azml.ErrInvalid, p)
	}
	return nil
}

// ValidLink tells whether a symbolic link at path p may point to target: a
// relative target that stays inside the root, with ".." only at its beginning.
// (Behind a name, ".." would leave the folder that the name leads to, which
// may be another link's target; then no look at the text could tell where it
// ends.) The error wraps ErrInvalid.
func ValidLink(p, target string) error {
	rest, ups := strings.TrimSuffix(target, "/"), 0
	for {
		segment, after, _ := strings.Cut(rest, "/")
		if segment != ".." && segment != "." || strings.HasPrefix(after, "/") {
			break
		}
		if segment == ".." {
			ups++
		}
		rest = after
	}
	if rest != "" || strings.HasPrefix(target, "/") {
		if err := ValidPath(rest); err != nil {
			return fmt.Errorf("%w: link %q has a target that is not a plain relative path: %q", azml.ErrInvalid, p, target)
		}
	}
	if target == "" || len(target) > maxPath {
		return fmt.Errorf("%w: link %q has a target of %d bytes", azml.ErrInvalid, p, len(target))
	}
	if ups > strings.Count(p, "/") {
		return fmt.Errorf("%w: link %q points out of the folder: %q", azml.ErrInvalid, p, target)
	}
	return nil
}

// parents yields the folders above p, the nearest first.
func parents(p string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for d := path.Dir(p); d != "."; d = path.Dir(d) {
			if !yield(d) {
				return
			}
		}
	}
}
