package scoring

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// notingScript writes each input down before it does anything.
const notingScript = `
import os, time
def init():
    global log
    log = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def run(data):
    os.write(log, data.encode() + b"\n")
    if data == "die":
        os._exit(7)
    if data == "hang":
        time.sleep(600)
    return data
`

// startNoting hosts the script; its calls have been quick for long enough that it
// is given requests ahead.
func startNoting(t *testing.T, o options) (s *service, p *Python, noted func() map[string]int) {
	t.Helper()
	notes := filepath.Join(t.TempDir(), "notes")
	p, _ = startScript(t, notingScript, func(c *PythonConfig) { c.Env = map[string]string{"NOTES": notes} })
	s = serve(t, o, p)
	warm(t, s, p)
	return s, p, func() map[string]int {
		text, err := os.ReadFile(notes)
		require.NoError(t, err)
		counts := map[string]int{}
		for line := range strings.Lines(string(text)) {
			counts[strings.TrimSpace(line)]++
		}
		return counts
	}
}

// warm scores until the worker is given requests ahead.
func warm(t *testing.T, s *service, p *Python) {
	t.Helper()
	require.Eventually(t, func() bool {
		s.ask(t, http.MethodPost, "/score", "warm")
		return p.Ahead() > 0
	}, time.Minute, time.Microsecond)
}

// TestAhead: answers are those of their requests, and each was begun once.
func TestAhead(t *testing.T) {
	t.Parallel()
	s, p, noted := startNoting(t, options{MaxQueueWait: time.Minute})
	var clients sync.WaitGroup
	for client := range 16 {
		clients.Go(func() {
			for n := range 50 {
				input := fmt.Sprintf("%d-%d", client, n)
				if n%10 == 9 {
					input += strings.Repeat("x", maxEarly) // too large to be sent ahead
				}
				if got := s.ask(t, http.MethodPost, "/score", input); got.body != strconv.Quote(input) {
					t.Errorf("%.20s: answered with %d %.40s", input, got.status, got.body)
				}
			}
		})
	}
	clients.Wait()
	require.Zero(t, p.Restarts())
	counts := noted()
	delete(counts, "warm")
	require.Len(t, counts, 16*50)
	for input, n := range counts {
		require.Equal(t, 1, n, "%.20s", input)
	}
}

// TestAheadOfDeath: requests behind one that ends the worker were not begun, so
// they are answered by the next one, also where nothing may be begun twice.
func TestAheadOfDeath(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		bad    string
		status int
	}{
		"ends":  {"die", http.StatusBadGateway},
		"hangs": {"hang", http.StatusGatewayTimeout},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, p, noted := startNoting(t, options{MaxQueueWait: time.Minute, AtMostOnce: true, ScoringTimeout: 3 * time.Second})
			for round := range 3 {
				warm(t, s, p)
				var clients sync.WaitGroup
				for client := range 12 {
					clients.Go(func() {
						if client == 3 {
							if got := s.ask(t, http.MethodPost, "/score", test.bad); got.status != test.status {
								t.Errorf("round %d: %d %s", round, got.status, got.body)
							}
							return
						}
						input := fmt.Sprintf("%d-%d", round, client)
						if got := s.ask(t, http.MethodPost, "/score", input); got.body != strconv.Quote(input) {
							t.Errorf("%s: answered with %d %s", input, got.status, got.body)
						}
					})
				}
				clients.Wait()
			}
			for input, n := range noted() {
				if input != "warm" && input != test.bad {
					require.Equal(t, 1, n, input)
				}
			}
		})
	}
}
