package tensorboard

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/tfevents"
	"github.com/azml-go/azml/run"
)

const (
	filePrefix = "events.out.tfevents."
	fileSuffix = ".azml"
)

// eventLog is the event files of one run's folder, which are only ever added
// to. An event's source says which logged value it belongs to, when that is not
// plain: the value after the last one of the same writer, with one event. So a
// value and the fact that it was written are one record, and whoever reads the
// files knows where to go on.
type eventLog struct {
	dir     string
	tags    map[string]tagState
	writers map[string]position

	file    *os.File // nil until there is something to write
	current string   // the writer of the last event in file
	buf     []byte   // not written yet
	event   []byte   // being encoded
}

// tagState is what was written under a tag.
type tagState struct {
	step  int64 // the last
	class string
}

// position is the last logged value of a writer that was written, and how many
// of its events were not.
type position struct {
	seq  uint64
	left int
}

// openLog reads how far the folder's event files go.
func openLog(dir string) (*eventLog, error) {
	l := &eventLog{dir: dir, tags: map[string]tagState{}, writers: map[string]position{}}
	files, err := l.files()
	if err != nil {
		return nil, err
	}
	for i, path := range files {
		whole, err := l.scan(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w; remove the folder to export the run anew", path, err)
		}
		if whole && i == len(files)-1 {
			l.file, err = os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				return nil, err
			}
		}
	}
	return l, nil
}

// files lists the event files in the order they were begun.
func (l *eventLog) files() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(escapeGlob(l.dir), filePrefix+"*"+fileSuffix))
	slices.Sort(files)
	return files, err
}

func escapeGlob(dir string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(dir)
}

// scan reads one file; whole is false when its last record was cut off.
func (l *eventLog) scan(path string) (whole bool, err error) {
	file, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer file.Close()
	l.current = ""
	records := tfevents.NewReader(file)
	for {
		data, err := records.Next()
		switch {
		case errors.Is(err, io.ErrUnexpectedEOF):
			return false, nil
		case errors.Is(err, io.EOF):
			return records.Offset() > 0, nil
		case err != nil:
			return false, err
		}
		e, err := tfevents.Parse(data)
		if err == nil && len(e.Values) > 0 {
			err = l.learn(e)
		}
		if err != nil {
			return false, err
		}
	}
}

// learn takes over what an event says about how far the files go.
func (l *eventLog) learn(e tfevents.Event) error {
	if e.Source != "" {
		var p position
		if n, err := fmt.Sscanf(e.Source, sourceFormat, &l.current, &p.seq, &p.left); err != nil || n != 3 || p.left < 1 {
			return fmt.Errorf("%w: the event's source is %.60q", azml.ErrDamaged, e.Source)
		}
		p.left--
		l.writers[l.current] = p
	} else {
		p, ok := l.writers[l.current]
		switch {
		case !ok:
			return fmt.Errorf("%w: the first event has no source: it was written by something else", azml.ErrDamaged)
		case p.left > 0:
			p.left--
		default:
			p.seq++
		}
		l.writers[l.current] = p
	}
	for _, v := range e.Values {
		l.tags[v.Tag] = tagState{e.Step, classOf(v)}
	}
	return nil
}

// sourceFormat names a logged value, its writer and number, and says how many
// events of it are to come, this one among them.
const sourceFormat = "azml %s %d %d"

// written tells whether a logged value is in the files, and if it is in part,
// how many of its events are not.
func (l *eventLog) written(writer string, seq uint64) (left int, all bool) {
	p := l.writers[writer]
	if seq == p.seq {
		return p.left, p.left == 0
	}
	return 0, seq < p.seq
}

// add adds the values of one logged value; when left is not 0, the last left of
// them.
func (l *eventLog) add(m run.Metric, values []value, left int) error {
	if left > 0 && left < len(values) {
		values = values[len(values)-left:]
	}
	if err := l.begin(); err != nil {
		return err
	}
	for i, v := range values {
		state, known := l.tags[v.tag]
		if known && state.class != v.class { // a tag is drawn by one plugin
			v.tag += "/" + v.class
			state, known = l.tags[v.tag]
		}
		e := tfevents.Event{WallTime: seconds(m.Time), Step: m.Step}
		if known && (v.count || m.Step == 0) {
			e.Step = state.step + 1
		} else if v.count {
			e.Step = 0
		}
		l.tags[v.tag] = tagState{e.Step, v.class}
		v.Tag = v.tag
		e.Values = []tfevents.Value{v.Value}
		last := l.writers[l.current]
		if i == 0 && (m.Writer != l.current || last.seq+1 != m.Seq || len(values) > 1 || last.left > 0) {
			e.Source = fmt.Sprintf(sourceFormat, m.Writer, m.Seq, len(values))
		}
		l.current = m.Writer
		l.writers[m.Writer] = position{m.Seq, len(values) - 1 - i}
		l.append(e)
	}
	const full = 1 << 18
	if len(l.buf) >= full {
		return l.flush()
	}
	return nil
}

// begin makes sure that there is a file. A file whose end was cut off is left
// as it is, for a TensorBoard may have read a part of what is missing.
func (l *eventLog) begin() error {
	if l.file != nil {
		return nil
	}
	files, err := l.files()
	if err != nil {
		return err
	}
	number := time.Now().Unix()
	if len(files) > 0 { // TensorBoard reads files in the order of their names
		var last int64
		if _, err := fmt.Sscanf(filepath.Base(files[len(files)-1]), filePrefix+"%d", &last); err == nil {
			number = max(number, last+1)
		}
	}
	path := filepath.Join(l.dir, fmt.Sprintf("%s%010d%s", filePrefix, number, fileSuffix))
	if l.file, err = os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o644); err != nil {
		return err
	}
	l.current = ""
	l.append(tfevents.Event{WallTime: seconds(time.Now()), FileVersion: tfevents.FileVersion})
	return nil
}

func (l *eventLog) append(e tfevents.Event) {
	l.event = e.Append(l.event[:0])
	l.buf = tfevents.AppendRecord(l.buf, l.event)
}

// flush writes what was gathered, in one call, so that a TensorBoard sees whole
// events.
func (l *eventLog) flush() error {
	if len(l.buf) == 0 {
		return nil
	}
	_, err := l.file.Write(l.buf)
	l.buf = l.buf[:0]
	return err
}

func (l *eventLog) close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}
