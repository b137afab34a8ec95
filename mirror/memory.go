package mirror

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/azml-go/azml/internal/atomicfile"
	"github.com/azml-go/azml/internal/core"
)

// memory is what this machine remembers of the last sync between two workspaces:
// of each unit for which nothing was left to do, the marks it had on both sides.
// It saves reading and nothing else: what is right to do is told by the records.
// So it can be thrown away, and be of any sync at all.
type memory struct {
	path  string
	units map[string][2]mark // in the source and in the destination

	changed bool // since it was saved
}

// memoryVersion is the version of the file; one of another version is not read.
const memoryVersion = 1

type memoryFile struct {
	Version int                  `json:"version"`
	Units   map[string][2]string `json:"units"`
}

// loadMemory reads what is remembered; nothing is when the file can't be read.
func loadMemory(dst, src core.Handle) *memory {
	m := &memory{units: map[string][2]mark{},
		path: filepath.Join(dst.CacheDir(), "sync", dst.Workspace().ID+"-"+src.Workspace().ID+".json")}
	data, err := os.ReadFile(m.path)
	var file memoryFile
	if err != nil || json.Unmarshal(data, &file) != nil || file.Version != memoryVersion {
		return m
	}
	for unit, texts := range file.Units {
		var marks [2]mark
		whole := true
		for i, text := range texts {
			n, err := hex.Decode(marks[i][:], []byte(text)[:min(len(text), 2*len(mark{}))])
			whole = whole && err == nil && n == len(mark{})
		}
		if whole {
			m.units[unit] = marks
		}
	}
	return m
}

// save writes what is remembered. A file of another sync that ends at the same
// time may win.
func (m *memory) save() error {
	file := memoryFile{Version: memoryVersion, Units: make(map[string][2]string, len(m.units))}
	for unit, marks := range m.units {
		file.Units[unit] = [2]string{hex.EncodeToString(marks[0][:]), hex.EncodeToString(marks[1][:])}
	}
	data, err := json.Marshal(file)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(m.path), 0o700); err != nil {
		return err
	}
	return atomicfile.Write(m.path, data, 0o600)
}
