package files

import (
	"encoding/binary"
	"hash/crc32"
	"io/fs"
	"os"
	"sync"
	"time"
)

// stamp is what tells, without reading it, that a file is still the same.
type stamp struct {
	size, mtime, ctime int64
	inode, device      uint64
}

// cached is what the stat cache knows of a file.
type cached struct {
	stamp stamp
	seen  int64 // when its reading began, in nanoseconds since 1970
	file  File  // without path
}

// racyWindow is how much older than its reading the last change of a file must
// be: clocks of file systems are coarse, and those of other machines differ.
const racyWindow = int64(2 * time.Second)

// racy tells whether the file may have changed after it was read without a
// sign of it in its times.
func (c cached) racy() bool {
	return max(c.stamp.mtime, c.stamp.ctime) > c.seen-racyWindow
}

// statCache holds what was known before a batch and what it saw, by osPath. It
// is read when the first file is asked for: batches of streams have none, and
// are too many for a file each.
type statCache struct {
	old func() map[string]cached // the map never changes
	mu  sync.Mutex
	new map[string]cached
}

func (s *Store) newStatCache(scope string) *statCache {
	return &statCache{old: sync.OnceValue(func() map[string]cached { return s.loadStatCache(scope) }), new: map[string]cached{}}
}

func (c *statCache) get(osPath string) (cached, bool) {
	e, ok := c.old()[osPath]
	return e, ok
}

func (c *statCache) put(osPath string, e cached) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.new[osPath] = e
}

// statMagic begins the file of a stat cache. Another one is ignored, so the
// form may change at will.
const statMagic = "azmlstat1"

// loadStatCache reads the cache of a scope. One that is not there or damaged
// is empty.
func (s *Store) loadStatCache(scope string) map[string]cached {
	known := map[string]cached{}
	file := s.cacheFile("stats", scope)
	if file == "" {
		return known
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return known
	}
	end := len(data) - 4
	if end < len(statMagic) || string(data[:len(statMagic)]) != statMagic ||
		crc32.Checksum(data[:end], castagnoli) != binary.LittleEndian.Uint32(data[end:]) {
		s.log.Warn("a stat cache is damaged or of another version, and begun anew", "file", file)
		return known
	}
	r := statReader{rest: data[len(statMagic):end]}
	for len(r.rest) > 0 {
		path, e := r.entry()
		known[path] = e
	}
	return known
}

// saveStatCache replaces the cache of a scope by what the batch saw, unless it
// saw no file.
func (s *Store) saveStatCache(scope string, c *statCache) {
	file := s.cacheFile("stats", scope)
	if file == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.new) == 0 {
		return
	}
	b := []byte(statMagic)
	for path, e := range c.new {
		b = appendCached(b, path, e)
	}
	s.writeCache(file, binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli)))
}

func appendCached(b []byte, path string, e cached) []byte {
	b = appendText(b, path)
	for _, n := range []int64{e.stamp.size, e.stamp.mtime, e.stamp.ctime, int64(e.stamp.inode), int64(e.stamp.device), e.seen, e.file.Size} {
		b = binary.AppendVarint(b, n)
	}
	b = appendText(b, e.file.Digest)
	b = binary.AppendVarint(b, int64(len(e.file.Chunks)))
	for _, c := range e.file.Chunks {
		b = appendText(b, c.Digest)
		b = binary.AppendVarint(b, c.Size)
	}
	return b
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendVarint(b, int64(len(text))), text...)
}

// statReader reads what appendCached wrote. The checksum has vouched for it.
type statReader struct{ rest []byte }

func (r *statReader) entry() (string, cached) {
	path := r.text()
	var e cached
	e.stamp = stamp{size: r.number(), mtime: r.number(), ctime: r.number(), inode: uint64(r.number()), device: uint64(r.number())}
	e.seen, e.file.Size = r.number(), r.number()
	e.file.Digest = r.text()
	if n := r.number(); n > 0 {
		e.file.Chunks = make([]Chunk, n)
	}
	for i := range e.file.Chunks {
		e.file.Chunks[i] = Chunk{Digest: r.text(), Size: r.number()}
	}
	return path, e
}

func (r *statReader) number() int64 {
	n, size := binary.Varint(r.rest)
	r.rest = r.rest[size:]
	return n
}

func (r *statReader) text() string {
	n := r.number()
	text := string(r.rest[:n])
	r.rest = r.rest[n:]
	return text
}

// stampOf gives the stamp of a file.
func stampOf(info fs.FileInfo) stamp {
	st := stamp{size: info.Size(), mtime: info.ModTime().UnixNano()}
	systemStamp(info, &st)
	return st
}
