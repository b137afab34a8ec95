package scoring

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	logTime       = "2006-01-02 15:04:05.000"
	maxLogLine    = 64 << 10
	keepLastLines = 40
)

// appendLogLine adds one line in the log's form: UTC time, level letter,
// process id, logger, text.
func appendLogLine(dst []byte, level byte, pid int, logger string, text []byte) []byte {
	return append(append(appendLogPrefix(dst, level, pid, logger), text...), '\n')
}

// appendLogPrefix adds what stands before a line's text.
func appendLogPrefix(dst []byte, level byte, pid int, logger string) []byte {
	start := len(dst)
	dst = time.Now().UTC().AppendFormat(dst, logTime)
	dst[start+len(logTime)-4] = ','
	dst = append(dst, ' ', level, ' ', '[')
	dst = strconv.AppendInt(dst, int64(pid), 10)
	dst = append(append(append(dst, "] "...), logger...), " - "...)
	return dst
}

// lineLog writes a worker's output line by line, each by one Write, and keeps
// the last lines for errors.
type lineLog struct {
	out    io.Writer
	pid    int
	formed bool // lines that are in the log's form already are written as they are

	mu   sync.Mutex
	last []string
}

// formedLine is how a line in the log's form begins.
var formedLine = regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z] \[\d+\] `)

// write logs one line, or a traceback of several.
func (l *lineLog) write(level byte, logger string, text []byte) {
	text = bytes.TrimRight(text, "\r\n")
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range bytes.Lines(text) {
		l.last = append(l.last, string(bytes.TrimRight(line, "\r\n")))
	}
	if extra := len(l.last) - keepLastLines; extra > 0 {
		l.last = append(l.last[:0], l.last[extra:]...)
	}
	if l.out == nil {
		return
	}
	if l.formed && formedLine.Match(text) {
		_, _ = l.out.Write(append(slices.Clip(text), '\n')) // as below
	} else {
		_, _ = l.out.Write(appendLogLine(nil, level, l.pid, logger, text)) // a full log disk must not stop the service
	}
}

// lastLines gives a copy of the last lines, the oldest first.
func (l *lineLog) lastLines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.last...)
}

// pump logs what r gives until it ends. A line that is longer than 64 KiB is
// cut into several; an unfinished last line is logged too.
func (l *lineLog) pump(r io.Reader) {
	lines := bufio.NewReaderSize(r, maxLogLine)
	for {
		line, err := lines.ReadSlice('\n')
		if len(line) > 0 {
			l.write('I', "azml.print", line)
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}
