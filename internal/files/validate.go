package files

import (
	"fmt"

	"github.com/azml-go/azml"
)

// maxChunkStored bounds the chunks that are read, so that a hostile manifest
// can't make a reader take much memory.
const maxChunkStored = 64 << 20

// Validate checks all rules of a manifest: legal, sorted and unique paths, no
// file that is also a folder, links that stay inside, digests that are digests
// and chunks whose sizes add up. Every manifest that is stored or read passes
// through it. The error wraps ErrInvalid and names the entry.
func (m *Manifest) Validate() error {
	seen := make(map[string]bool, len(m.Files))
	for i, f := range m.Files {
		if i > 0 && m.Files[i-1].Path >= f.Path {
			return fmt.Errorf("%w: manifest entry %q is double or out of order", azml.ErrInvalid, f.Path)
		}
		if err := f.validate(); err != nil {
			return err
		}
		seen[f.Path] = true
	}
	for _, f := range m.Files {
		for dir := range parents(f.Path) {
			if seen[dir] {
				return fmt.Errorf("%w: manifest entry %q lies below the entry %q", azml.ErrInvalid, f.Path, dir)
			}
		}
	}
	return nil
}

func (f File) validate() error {
	if err := ValidPath(f.Path); err != nil {
		return err
	}
	switch f.Mode {
	case ModeFile, ModeExec:
		return f.validateContent()
	case ModeLink:
		if err := ValidLink(f.Path, f.Link); err != nil {
			return err
		}
	case ModeDir:
		if f.Link != "" {
			return f.invalid("is a folder with a link target")
		}
	default:
		return f.invalid("has the mode " + f.Mode.String())
	}
	if f.Size != 0 || f.Digest != "" || len(f.Chunks) > 0 {
		return f.invalid("is no regular file but has content")
	}
	return nil
}

func (f File) validateContent() error {
	if f.Link != "" {
		return f.invalid("is a regular file with a link target")
	}
	if _, err := parseDigest(f.Digest); err != nil {
		return fmt.Errorf("manifest entry %q: %w", f.Path, err)
	}
	left := f.Size
	for _, c := range f.Chunks {
		if _, err := parseDigest(c.Digest); err != nil {
			return fmt.Errorf("manifest entry %q: %w", f.Path, err)
		}
		if c.Size <= 0 || c.Size > maxChunkStored || c.Size > left {
			return f.invalid(fmt.Sprintf("of %d bytes has a chunk of %d bytes", f.Size, c.Size))
		}
		left -= c.Size
	}
	switch {
	case left != 0:
		return f.invalid(fmt.Sprintf("of %d bytes has chunks of %d bytes", f.Size, f.Size-left))
	case f.Size == 0 && f.Digest != emptyDigest.String():
		return f.invalid("is empty but has another digest")
	case len(f.Chunks) == 1 && f.Chunks[0].Digest != f.Digest:
		return f.invalid("has one chunk with another digest")
	}
	return nil
}

func (f File) invalid(what string) error {
	return fmt.Errorf("%w: manifest entry %q %s", azml.ErrInvalid, f.Path, what)
}
