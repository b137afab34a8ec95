package files

import (
	"errors"
	"os"
	"path/filepath"
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
		err = replaceFile(file, data)
	}
	if err != nil {
		s.log.Warn("the cache of file contents can't be written", "file", file, "error", err)
	}
}

// replaceFile writes a file that other processes read and replace as well.
func replaceFile(file string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(file), "tmp-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
	return err
}
