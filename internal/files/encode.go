package files

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"

	"github.com/azml-go/azml"
)

// manifestVersion is the version of the stored form of manifests.
const manifestVersion = 1

// The stored names of the modes.
const (
	typeFile = "file"
	typeExec = "exec"
	typeLink = "link"
	typeDir  = "dir"
)

// storedFile is the stored form of a File. Chunks are left out when the whole
// content is one chunk, for then its digest is the file's.
type storedFile struct {
	Path   string  `json:"path"`
	Type   string  `json:"type"`
	Size   int64   `json:"size,omitempty"`
	Digest string  `json:"digest,omitempty"`
	Chunks []Chunk `json:"chunks,omitempty"`
	Link   string  `json:"link,omitempty"`
}

// encode gives the canonical bytes: one JSON object, one entry a line.
func (m *Manifest) encode() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"version":%d,"files":[`, manifestVersion)
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for i, f := range m.Files {
		if i > 0 {
			b.Truncate(b.Len() - 1) // the encoder's line end
			b.WriteByte(',')
		}
		b.WriteByte('\n')
		if err := enc.Encode(storedForm(f)); err != nil {
			panic("files: a manifest entry can't be encoded: " + err.Error())
		}
	}
	b.WriteString("]}\n")
	return b.Bytes()
}

func storedForm(f File) storedFile {
	s := storedFile{Path: f.Path, Type: typeOf(f.Mode), Size: f.Size, Digest: f.Digest, Chunks: f.Chunks, Link: f.Link}
	if len(f.Chunks) == 1 && f.Chunks[0] == (Chunk{Digest: f.Digest, Size: f.Size}) {
		s.Chunks = nil
	}
	return s
}

func typeOf(mode fs.FileMode) string {
	switch mode {
	case ModeFile:
		return typeFile
	case ModeExec:
		return typeExec
	case ModeLink:
		return typeLink
	case ModeDir:
		return typeDir
	}
	return mode.String() // Validate refuses it
}

func modeOf(typ string) (fs.FileMode, bool) {
	switch typ {
	case typeFile:
		return ModeFile, true
	case typeExec:
		return ModeExec, true
	case typeLink:
		return ModeLink, true
	case typeDir:
		return ModeDir, true
	}
	return 0, false
}

// decode reads the canonical bytes of a manifest and refuses all others.
func decode(data []byte) (*Manifest, error) {
	var stored struct {
		Version int          `json:"version"`
		Files   []storedFile `json:"files"`
	}
	if err := json.Unmarshal(data, &stored); err != nil {
		return nil, fmt.Errorf("%w: manifest is not JSON: %w", azml.ErrInvalid, err)
	}
	if stored.Version > manifestVersion {
		return nil, fmt.Errorf("%w: manifest has version %d, this program reads up to %d", azml.ErrUnsupported, stored.Version, manifestVersion)
	}
	m := &Manifest{Files: make([]File, 0, len(stored.Files))}
	for _, s := range stored.Files {
		mode, ok := modeOf(s.Type)
		if !ok {
			return nil, fmt.Errorf("%w: manifest entry %q has the unknown type %q", azml.ErrInvalid, s.Path, s.Type)
		}
		if s.Chunks == nil && s.Size > 0 {
			s.Chunks = []Chunk{{Digest: s.Digest, Size: s.Size}}
		}
		m.Files = append(m.Files, File{Path: s.Path, Mode: mode, Size: s.Size, Digest: s.Digest, Chunks: s.Chunks, Link: s.Link})
	}
	if err := m.Validate(); err != nil {
		return nil, err
	}
	if !bytes.Equal(m.encode(), data) {
		return nil, fmt.Errorf("%w: manifest is not in its canonical form", azml.ErrInvalid)
	}
	return m, nil
}
