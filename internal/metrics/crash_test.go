package metrics

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/localfs"
)

// crashLimits roll files often, but not with each few points: a frame costs the
// store a sync.
var crashLimits = limits{
	spoolMin: 512, spoolMax: 2000, framePoints: 100, frameBytes: 3000,
	appendBytes: 500, segmentBytes: 2500, segmentAppends: 9, groupRows: 300, groupBytes: 9000,
}

// childJob is what the test binary does when it is started as a child: log to
// the store and spool, and say on its standard output how many points each
// goroutine has had acknowledged.
type childJob struct {
	Store, Spool string
	Points       int // 0: until killed
	Small        bool
	Seal         bool // again and again, while it logs
	Goroutines   int
}

func (j childJob) command(t *testing.T) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(j)
	require.NoError(t, err)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "METRICS_TEST_CHILD="+string(text))
	cmd.Stderr = os.Stderr
	return cmd
}

func child(text string) int {
	var job childJob
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		return fail(err)
	}
	store, err := localfs.New(job.Store, nil)
	if err != nil {
		return fail(err)
	}
	l := Open(store, testPrefix, &Options{SpoolDir: job.Spool})
	if job.Small {
		l.limits = crashLimits
	}
	if job.Seal {
		go childSeal(job, store)
	}
	var wg sync.WaitGroup
	for g := range job.Goroutines {
		wg.Go(func() {
			if err := childLog(l, job.Points, g); err != nil {
				fail(err)
				os.Exit(1)
			}
		})
	}
	wg.Wait()
	return 0
}

// childSeal seals as a process on another machine would, which does not know of
// the writers here.
func childSeal(job childJob, store backend.Objects) {
	l := Open(store, testPrefix, nil)
	if job.Small {
		l.limits = crashLimits
	}
	for {
		if _, err := l.Seal(context.Background()); err != nil {
			fail(err)
			os.Exit(1)
		}
	}
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// childLog logs points 0, 1, 2, …, as value and step. After each it writes
// its number to standard output: what the parent has read is acknowledged.
func childLog(l *Log, points, g int) error {
	w, err := l.NewWriter()
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			if err := w.Flush(ctx); err != nil && ctx.Err() == nil {
				fail(err)
			}
		}
	})
	for i := 0; points == 0 || i < points; i++ {
		if err := w.Log(fmt.Sprintf("loss %d/%d", g, i%3), float64(i)/8, int64(i), time.Time{}); err != nil {
			return err
		}
		if points > 0 {
			continue
		}
		var ack [12]byte
		binary.LittleEndian.PutUint32(ack[:], uint32(g))
		binary.LittleEndian.PutUint64(ack[4:], uint64(i)+1)
		if _, err := os.Stdout.Write(ack[:]); err != nil {
			return err
		}
	}
	stop()
	wg.Wait()
	return w.Close(context.Background())
}

// TestKilled kills a process that logs, at a random moment, again and again,
// and reads back what it had been told is safe.
func TestKilled(t *testing.T) {
	t.Parallel()
	kills := 200
	if testing.Short() {
		kills = 10
	}
	r := newRand(t)
	for kill := range kills {
		root := t.TempDir()
		job := childJob{Store: filepath.Join(root, "store"), Spool: filepath.Join(root, "spool"), Small: kill%2 == 0, Seal: kill%4 > 1, Goroutines: 2}
		acked := killChild(t, job, r)
		store, err := localfs.New(job.Store, nil)
		require.NoError(t, err)
		l := Open(store, testPrefix, &Options{SpoolDir: job.Spool})
		if job.Small {
			l.limits = crashLimits
		}
		if kill%3 > 0 { // without Recover the spool itself is read
			checkKilled(t, l, acked)
		}
		if kill%3 > 1 {
			recoverTwice(t, l)
		} else {
			_, err = l.Recover(t.Context())
			require.NoError(t, err)
		}
		checkKilled(t, l, acked)
		if kill%5 == 0 {
			mustSeal(t, l)
			checkKilled(t, l, acked)
		}
		left, err := os.ReadDir(job.Spool)
		require.NoError(t, err)
		require.Empty(t, left)
		damage, err := l.Verify(t.Context(), nil)
		require.NoError(t, err)
		require.Empty(t, damage)
		require.NoError(t, store.Close())
	}
}

// recoverTwice has two recoveries at once.
func recoverTwice(t *testing.T, l *Log) {
	var wg sync.WaitGroup
	errs := make([]error, 2)
	for i := range errs {
		wg.Go(func() { _, errs[i] = l.Recover(t.Context()) })
	}
	wg.Wait()
	require.NoError(t, errs[0])
	require.NoError(t, errs[1])
}

// killChild starts the job, reads a random number of acknowledgements, kills,
// and reads the rest. It gives how many points each goroutine was told of.
func killChild(t *testing.T, job childJob, r *rand.Rand) map[uint32]uint64 {
	cmd := job.command(t)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	acked := make(map[uint32]uint64)
	in := bufio.NewReader(out)
	for n, at := 0, r.IntN(800); ; n++ {
		var ack [12]byte
		if _, err := io.ReadFull(in, ack[:]); err != nil {
			break // killed: the pipe has ended
		}
		acked[binary.LittleEndian.Uint32(ack[:])] = binary.LittleEndian.Uint64(ack[4:])
		if n == at {
			require.NoError(t, cmd.Process.Kill())
		}
	}
	require.Error(t, cmd.Wait())
	return acked
}

// checkKilled checks that every acknowledged point is there once, in order, as
// it was logged. More may be there.
func checkKilled(t *testing.T, l *Log, acked map[uint32]uint64) {
	t.Helper()
	count := make(map[uint32]uint64)
	for _, points := range byWriter(t, readAll(t, l)) {
		var g uint32
		for i, p := range points {
			var third int
			_, err := fmt.Sscanf(p.Name, "loss %d/%d", &g, &third)
			require.NoError(t, err)
			require.EqualValues(t, i, p.Step)
			require.Equal(t, i%3, third)
			require.Equal(t, float64(i)/8, p.Value)
		}
		if len(points) > 0 {
			count[g] = uint64(len(points))
		}
	}
	for g, n := range acked {
		require.GreaterOrEqual(t, count[g], n, "goroutine %d", g)
	}
}

// TestManyProcesses has 16 processes log to one run, which is then sealed.
func TestManyProcesses(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	job := childJob{Store: filepath.Join(root, "store"), Spool: filepath.Join(root, "spool"), Points: 2000, Goroutines: 1}
	var children []*exec.Cmd
	for range 16 {
		cmd := job.command(t)
		require.NoError(t, cmd.Start())
		children = append(children, cmd)
	}
	for _, cmd := range children {
		require.NoError(t, cmd.Wait())
	}
	store, err := localfs.New(job.Store, nil)
	require.NoError(t, err)
	defer store.Close()
	l := Open(store, testPrefix, &Options{SpoolDir: job.Spool})
	for range 2 {
		writers := byWriter(t, readAll(t, l))
		require.Len(t, writers, 16)
		for _, points := range writers {
			require.Len(t, points, job.Points)
		}
		mustSeal(t, l)
		sound(t, l)
	}
}
