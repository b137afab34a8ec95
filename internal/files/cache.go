package files

import (
	"os"
	"path/filepath"

	"github.com/azml-go/azml/internal/atomicfile"
)

// cacheFile gives the path of a cached thing, empty when there is no cache.
func (s *Store) cacheFile(kind, name string) string {
	if s.cacheDir == "" {
		return ""
	}
	return filepath.Join(s.cacheDir, kind, digestOf([]byte(name)).String()[:32])
}

// indexCache gives the path of a cached index object. A store that lies on this
// machine needs no copy of it.
func (s *Store) indexCache(key string) string {
	if s.local {
		return ""
	}
	return s.cacheFile("indexes", key)
}

// writeCache replaces a cached file. A cache that can't be written is only
// said in the log.
func (s *Store) writeCache(file string, data []byte) {
	if file == "" {
		return
	}
	err := os.MkdirAll(filepath.Dir(file), 0o700)
	if err == nil {
		err = atomicfile.Write(file, data, 0o600)
	}
	if err != nil {
		s.log.Warn("the cache of file contents can't be written", "file", file, "error", err)
	}
}
