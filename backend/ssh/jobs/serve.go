package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/process"
)

// server answers one client.
type server struct {
	driver backend.OpenedCompute
	// dir is the folder for everything, and engines are what can run containers.
	dir     string
	engines []backend.ComputeDriver
	// containers tells that the driver is one of an engine.
	containers bool
	starts     starts
	programs   programs
	reach      reach
	// work is what must come to its end, also when the client is gone.
	work sync.WaitGroup
	// guests is what the holder of a job waits for, and others share until they end.
	guests *flock.Flock
}

// Serve serves the jobs that are kept in dir, which it makes with mode 0700,
// until in ends, the context does, or the client has said nothing for half a
// minute, not even that it is there. Jobs go on. Programs that nothing has
// asked for in 30 days are deleted. A client may want jobs in containers, of one of
// the engines. Errors: ErrDenied, ErrUnavailable.
func Serve(ctx context.Context, dir string, in io.ReadCloser, out io.WriteCloser, engines ...backend.ComputeDriver) error {
	// A client that is gone must not end a start half way.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	s, err := newServer(dir)
	if err != nil {
		return err
	}
	s.engines = engines
	if _, err := fmt.Fprintf(out, "\n%s%d\n", greeting, Protocol); err != nil {
		return ErrLost
	}
	conn := &stdio{in: in, out: out, carrier: pipes{in, out}, closed: make(chan struct{})}
	srv := &http.Server{Handler: s.routes(), Protocols: plainHTTP2(), HTTP2: http2Config(), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		BaseContext: func(net.Listener) context.Context { return ctx }, ReadHeaderTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	_ = srv.Serve(&single{conn: conn}) // ends with the connection
	s.reach.close()
	s.work.Wait()
	return errors.Join(s.guests.Close(), s.driver.Close())
}

func newServer(dir string) (*server, error) {
	if err := os.MkdirAll(filepath.Join(dir, "locks"), 0o700); err != nil {
		return nil, classify(err)
	}
	driver, err := process.New(filepath.Join(dir, "jobs"), nil)
	if err != nil {
		return nil, err
	}
	locks := locks{filepath.Join(dir, "locks")}
	s := &server{driver: driver, dir: dir, starts: starts{dir: filepath.Join(dir, "starts"), locks: locks},
		programs: programs{dir: filepath.Join(dir, "bin")}, reach: reach{conns: map[string]*reached{}},
		guests: flock.New(filepath.Join(dir, "locks", guestsFile))}
	for _, d := range []string{s.starts.dir, s.programs.dir} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, classify(err)
		}
	}
	return s, s.programs.sweep()
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	for route, h := range map[string]handler{
		"GET /check": s.check, "POST /start": s.start, "POST /undo": s.undo, "GET /begun": s.begun, "GET /status": s.status, "GET /wait": s.wait,
		"GET /output": s.output, "POST /cancel": s.cancel, "POST /remove": s.remove, "GET /list": s.list,
		"GET /program": s.program, "PUT /program": s.install,
		"POST /listen": s.listen, "GET /receive": s.receive, "POST /send": s.send,
		"POST /engine": s.engine, "POST /image": s.buildImage, "GET /images": s.listImages, "POST /unimage": s.removeImage, "POST /limits": s.checkLimits,
	} {
		mux.Handle(route, h)
	}
	return mux
}

// handler answers a call. An error that comes before the first byte of the
// answer is the answer; after it, it goes into the trailer.
type handler func(w *answer, r *http.Request) error

// answer knows whether the answer has begun.
type answer struct {
	http.ResponseWriter
	begun bool
}

// ServeHTTP implements http.Handler.
func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := &answer{ResponseWriter: w}
	err := h(a, r)
	if err == nil {
		return
	}
	text, _ := json.Marshal(newFailure(err)) // strings always can be
	if a.begun {
		w.Header().Set(http.TrailerPrefix+failureTrailer, string(text))
		return
	}
	w.WriteHeader(http.StatusUnprocessableEntity)
	_, _ = w.Write(text) // the client may be gone
}

// begin sends the head of an answer whose body comes in its own time.
func (a *answer) begin() {
	a.begun = true
	a.WriteHeader(http.StatusOK)
	a.flush()
}

func (a *answer) flush() {
	_ = http.NewResponseController(a.ResponseWriter).Flush() // the client may be gone
}

// say sends one line of a stream of JSON.
func (a *answer) say(value any) error {
	a.begun = true
	if err := json.NewEncoder(a).Encode(value); err != nil {
		return err
	}
	a.flush()
	return nil
}

// stream sends what there is to read as soon as it is there.
func (a *answer) stream(r io.Reader) error {
	a.begin()
	for buf := make([]byte, 128<<10); ; {
		n, err := r.Read(buf)
		if n > 0 {
			if _, err := a.Write(buf[:n]); err != nil {
				return err
			}
			a.flush()
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// plainHTTP2 is HTTP/2 without TLS, which both ends know of each other.
func plainHTTP2() *http.Protocols {
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	return &p
}

// http2Config has each end find out when the other is gone without a word, and
// lets one connection be enough.
func http2Config() *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams: 1 << 20, MaxReceiveBufferPerConnection: 4<<20 - 1, MaxReceiveBufferPerStream: 2 << 20, MaxReadFrameSize: 256 << 10,
		SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second,
	}
}
