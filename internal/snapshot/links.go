package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/azml-go/azml/internal/files"
)

// takeLink decides what becomes of the symbolic link name of f.
func (s *scanner) takeLink(f *folder, name string) error {
	osPath := filepath.Join(f.osPath, name)
	raw, err := os.Readlink(osPath)
	if err != nil {
		s.ignoreOrSkip(f, name, plain(err))
		return nil
	}
	target := filepath.ToSlash(raw)
	if staysInside(f, name, raw, target) {
		s.keepLink(f, name, target)
		return nil
	}
	info, err := os.Stat(osPath)
	switch {
	case err != nil:
		s.ignoreOrSkip(f, name, fmt.Sprintf("it is a link to %q, which %s", raw, missing(err)))
	case info.IsDir():
		return s.followFolder(f, name, raw, info)
	default:
		if reason, _ := s.verdict(f.matcher, name, false); reason != "" {
			s.ignore(f.join(name), false, reason)
			return nil
		}
		s.takeFile(f.join(name), osPath, info)
	}
	return nil
}

// keepLink takes the link as a link.
func (s *scanner) keepLink(f *folder, name, target string) {
	if reason, _ := s.verdict(f.matcher, name, false); reason != "" {
		s.ignore(f.join(name), false, reason)
		return
	}
	s.plan.Entries = append(s.plan.Entries, Entry{
		Path: f.join(name), Mode: fs.ModeSymlink | 0o777, OSPath: filepath.Join(f.osPath, name), Link: target,
	})
	s.plan.Files++
}

// followFolder takes the contents of the folder that the link leads to.
func (s *scanner) followFolder(f *folder, name, target string, info fs.FileInfo) error {
	reason, kept := s.verdict(f.matcher, name, true)
	if reason != "" {
		s.ignore(f.join(name), true, reason)
		return nil
	}
	for up := f; up != nil; up = up.up {
		if os.SameFile(up.info, info) {
			s.skip(f.join(name), fmt.Sprintf("it is a link to %q, the folder that is being read", target))
			return nil
		}
	}
	// Folders that link to each other could otherwise make an exponential
	// number of copies.
	if f.root != "" && isOneOf(info, s.followed) {
		s.skip(f.join(name), fmt.Sprintf("it is a link to %q, which another link brought in already", target))
		return nil
	}
	s.followed = append(s.followed, info)
	s.warn("%q is a link to the folder %q: what that holds is taken", f.join(name), target)
	return s.enter(f, name, info, f.join(name), kept)
}

func (s *scanner) ignoreOrSkip(f *folder, name, why string) {
	if reason, _ := s.verdict(f.matcher, name, false); reason != "" {
		s.ignore(f.join(name), false, reason)
		return
	}
	s.skip(f.join(name), why)
}

// staysInside says whether a link in f to target, as raw on this system, means
// the same thing in the snapshot and can't lead out of it.
func staysInside(f *folder, name, raw, target string) bool {
	if filepath.VolumeName(raw) != "" {
		return false
	}
	below := strings.TrimPrefix(strings.TrimPrefix(f.join(name), f.root), "/")
	return files.ValidLink(below, target) == nil
}

// warnLinks tells which links of the plan lead to nothing in it.
func (s *scanner) warnLinks() {
	for _, e := range s.plan.Entries {
		if e.Mode&fs.ModeSymlink == 0 {
			continue
		}
		if _, err := os.Stat(e.OSPath); err != nil {
			s.warn("%q is a link to %q, which %s", e.Path, e.Link, missing(err))
		} else if !s.plan.reaches(path.Join(path.Dir(e.Path), e.Link)) {
			s.warn("%q is a link to %q, which is not taken", e.Path, e.Link)
		}
	}
}

// reaches says whether target is an entry, lies behind a link, or is a folder
// with entries in it.
func (p *Plan) reaches(target string) bool {
	if target == "." {
		return true
	}
	for at := target; at != "."; at = path.Dir(at) {
		if e, ok := p.Entry(at); ok && (at == target || e.Link != "") {
			return true
		}
	}
	i, _ := p.search(target + "/")
	return i < len(p.Entries) && strings.HasPrefix(p.Entries[i].Path, target+"/")
}

func missing(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "does not exist"
	case errors.Is(err, fs.ErrPermission):
		return "can't be read"
	}
	return "leads nowhere"
}
