package scoring

import (
	"encoding/json"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Call is a request as the log of requests tells it.
type Call struct {
	// ID is the request's; empty when there is none.
	ID string
	// Deployment is who answered; empty for nobody.
	Deployment string
	// Method is the method of HTTP, or "gRPC".
	Method string
	// Path is the path that was asked, or gRPC's name of the method.
	Path string
	// Status is the answer's, 499 when the client did not wait for one.
	Status int
	// Began is when the request came.
	Began time.Time
	// Ran is how long the scoring code ran; 0 when it did not, or that is not known.
	Ran time.Duration
	// In is the number of bytes of the request's body.
	In int64
	// Out is the number of bytes of the answer's body.
	Out int64
}

// note writes one line of the log of requests, for a request that ends now.
func (s *Server) note(c *Call, now time.Time) {
	if s.cfg.Requests == nil {
		return
	}
	buffer := lines.Get().(*[]byte)
	*buffer = c.append((*buffer)[:0], now)
	_, _ = s.cfg.Requests.Write(*buffer) // a log that can't be written must not stop the service
	lines.Put(buffer)
}

// lines are buffers of lines of the log.
var lines = sync.Pool{New: func() any { return new([]byte) }}

// append adds the call's line, whose fields docs/format.md has.
func (c *Call) append(line []byte, now time.Time) []byte {
	line = append(line, `{"time":"`...)
	line = appendTime(line, now)
	line = append(line, '"')
	line = appendText(line, `,"id":`, c.ID)
	line = appendText(line, `,"deployment":`, c.Deployment)
	line = appendText(line, `,"method":`, c.Method)
	line = appendText(line, `,"path":`, c.Path)
	line = append(line, `,"status":`...)
	line = strconv.AppendInt(line, int64(c.Status), 10)
	line = appendMilliseconds(line, `,"ms":`, now.Sub(c.Began))
	if c.Ran > 0 {
		line = appendMilliseconds(line, `,"runMs":`, c.Ran)
	}
	line = append(line, `,"in":`...)
	line = strconv.AppendInt(line, c.In, 10)
	line = append(line, `,"out":`...)
	line = strconv.AppendInt(line, c.Out, 10)
	return append(line, '}', '\n')
}

// second is a second as text.
type second struct {
	unix int64
	text string
}

// lastSecond is the one that was written last: most requests are in the same one as
// another.
var lastSecond atomic.Pointer[second]

// appendTime adds the time in UTC with its microseconds.
func appendTime(line []byte, now time.Time) []byte {
	s := lastSecond.Load()
	if s == nil || s.unix != now.Unix() {
		s = &second{now.Unix(), now.UTC().Format("2006-01-02T15:04:05.")}
		lastSecond.Store(s)
	}
	line = append(line, s.text...)
	micros := now.Nanosecond() / 1000
	for digit := 100_000; digit > 0; digit /= 10 {
		line = append(line, byte('0'+micros/digit%10))
	}
	return append(line, 'Z')
}

func appendMilliseconds(line []byte, name string, d time.Duration) []byte {
	return appendMillis(append(line, name...), d)
}

// appendMillis adds a time in milliseconds, with the microseconds behind the point.
func appendMillis(text []byte, d time.Duration) []byte {
	micros := d.Round(time.Microsecond).Microseconds()
	text = strconv.AppendInt(text, micros/1000, 10)
	return append(text, '.', byte('0'+micros/100%10), byte('0'+micros/10%10), byte('0'+micros%10))
}

// appendText adds a field, unless it is empty.
func appendText(line []byte, name, text string) []byte {
	if text == "" {
		return line
	}
	line = append(line, name...)
	if plain(text) {
		return append(append(append(line, '"'), text...), '"')
	}
	quoted, _ := json.Marshal(text) // strings always have a JSON form
	return append(line, quoted...)
}

// plain tells whether JSON has the text as it is.
func plain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
