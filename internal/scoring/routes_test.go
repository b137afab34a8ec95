package scoring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/openinference"
	"github.com/azml-go/azml/internal/router"
)

// says is a scorer that gives a text, and counts.
func says(text string, calls *atomic.Int64) Scorer {
	return Handler(func(context.Context, json.RawMessage) (any, error) {
		calls.Add(1)
		return text, nil
	})
}

// start starts a deployment that ends with the test.
func (o options) start(t *testing.T, name string, replicas ...Scorer) *Deployment {
	t.Helper()
	d, err := o.deployment(t.Context(), name, replicas...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close(context.Background())) })
	return d
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	var blue, green atomic.Int64
	s := serve(t, options{}, echo)
	a, b := options{}.start(t, "blue", says("blue", &blue)), options{}.start(t, "green", says("green", &green))
	require.NoError(t, s.scoring.SetRoutes([]router.Route[*Deployment]{{Name: "blue", To: a, Percent: 90}, {Name: "green", To: b, Percent: 10}}))
	for range 200 {
		got := s.ask(t, "POST", "/score", "1")
		require.Equal(t, 200, got.status)
		require.Equal(t, `"`+got.header.Get(headerDeployment)+`"`, got.body)
	}
	require.EqualValues(t, 180, blue.Load())
	require.EqualValues(t, 20, green.Load())
	for _, c := range []struct {
		path, header, want string
		status             int
	}{
		{"/score", "green", `"green"`, 200}, {"/versions/green/score", "", `"green"`, 200}, {"/versions/blue/score", "green", `"blue"`, 200},
		{"/score", "none", `{"message":"There is no deployment \"none\"."}`, 404}, {"/versions/none/score", "", `{"message":"There is no deployment \"none\"."}`, 404},
		{"/versions/green/", "", "Healthy", 200}, {"/versions/none/", "", `{"message":"No replica of the service is ready."}`, 503},
		{"/versions/green/swagger.json", "", "*", 200}, {"/versions/green", "", "*", 404}, {"/versions//score", "", "*", 404},
	} {
		var headers []string
		if c.header != "" {
			headers = []string{headerDeployment + ": " + c.header}
		}
		got := s.ask(t, "GET", c.path, "", headers...)
		require.Equal(t, c.status, got.status, c.path)
		if c.want != "*" {
			require.Equal(t, c.want, got.body, c.path)
		}
	}
	require.NoError(t, s.scoring.SetRoutes([]router.Route[*Deployment]{{Name: "green", To: b}}))
	require.Equal(t, http.StatusServiceUnavailable, s.ask(t, "GET", "/score", "").status, "none has traffic")
	require.Equal(t, http.StatusServiceUnavailable, s.ask(t, "GET", "/", "").status)
	require.Equal(t, 200, s.ask(t, "GET", "/score", "", headerDeployment+": green").status)
	require.Eventually(t, func() bool { return a.Stats().Requests == 181 }, 10*time.Second, time.Millisecond)
}

func TestMirroredRequests(t *testing.T) {
	t.Parallel()
	var main, shadow atomic.Int64
	hold := make(chan struct{})
	s := serve(t, options{}, echo)
	a := options{}.start(t, "main", says("main", &main))
	b := options{ScoringTimeout: time.Minute}.start(t, "shadow", Handler(func(_ context.Context, input json.RawMessage) (any, error) {
		if shadow.Add(1); string(input) == "2" {
			return nil, errors.New("the shadow fails")
		}
		<-hold
		return 1, nil
	}))
	require.NoError(t, s.scoring.SetRoutes([]router.Route[*Deployment]{{Name: "main", To: a, Percent: 100}, {Name: "shadow", To: b, Mirror: 50}}))
	for range 400 {
		got := s.ask(t, "POST", "/score", "1")
		require.Equal(t, `"main"`, got.body)
	}
	stats := b.Stats()
	require.EqualValues(t, 200, stats.Mirrored+stats.Dropped)
	require.EqualValues(t, maxCopies, stats.Mirrored, "a slow mirror gets no more at once")
	require.Zero(t, stats.Requests)
	close(hold)
	require.Eventually(t, func() bool { return b.Stats().Calls == 0 }, 10*time.Second, time.Millisecond)
	for range 2 * maxCopies {
		require.Equal(t, `"main"`, s.ask(t, "POST", "/score", "2").body)
	}
	require.Eventually(t, func() bool { return b.Stats().Failures > 0 }, 10*time.Second, time.Millisecond)
	require.Eventually(t, func() bool { return shadow.Load() == b.Stats().Mirrored }, 10*time.Second, time.Millisecond, "none is lost")
}

// under puts load on the service until the returned function is called, which
// gives how many requests there were, and the answers other than 200.
func (s *service) under(t *testing.T, clients int) func() (answered int64, bad []string) {
	t.Helper()
	var stop atomic.Bool
	var answered atomic.Int64
	var mu sync.Mutex
	var bad []string
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() {
			for i := 0; !stop.Load(); i++ {
				body := fmt.Sprintf(`"c%d-%d"`, c, i)
				got := s.ask(t, "POST", "/score", body)
				answered.Add(1)
				if got.status != 200 {
					mu.Lock()
					bad = append(bad, fmt.Sprint(got.status, " ", got.body))
					mu.Unlock()
				}
			}
		})
	}
	return func() (int64, []string) {
		stop.Store(true)
		all.Wait()
		return answered.Load(), bad
	}
}

// TestSwitchesUnderLoad: deployments come, get and lose traffic and go, and no
// request is lost.
func TestSwitchesUnderLoad(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	s := serve(t, options{}, echo)
	end := s.under(t, 8)
	slow := Handler(func(_ context.Context, input json.RawMessage) (any, error) {
		time.Sleep(time.Millisecond)
		return input, nil
	})
	routes := []router.Route[*Deployment]{{Name: "main", To: s.deployment, Percent: 100}}
	for n := range 60 {
		o := options{}
		d, err := o.deployment(t.Context(), fmt.Sprint("d", n), slow, slow)
		require.NoError(t, err)
		share := 1 + rng.IntN(100)
		next := []router.Route[*Deployment]{{Name: d.Name(), To: d, Percent: share}}
		if share < 100 {
			routes[0].Percent = 100 - share
			next = append(next, routes[0])
		}
		require.NoError(t, s.scoring.SetRoutes(next))
		for _, old := range routes[len(next)-1:] {
			if old.To != s.deployment {
				require.NoError(t, old.To.Close(t.Context()))
			}
		}
		routes = next
		time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond)
	}
	require.NoError(t, s.scoring.SetRoutes([]router.Route[*Deployment]{{Name: "main", To: s.deployment, Percent: 100}}))
	for _, old := range routes {
		if old.To != s.deployment {
			require.NoError(t, old.To.Close(t.Context()))
		}
	}
	answered, bad := end()
	require.Empty(t, bad)
	require.Greater(t, answered, int64(100))
}

// TestKilledWorkersUnderLoad: workers are killed one after the other while they
// have requests, and every request is answered.
func TestKilledWorkersUnderLoad(t *testing.T) {
	t.Parallel()
	const script = "import time\ndef init(): pass\ndef run(d):\n  time.sleep(0.002)\n  return d\n"
	a, _ := startScript(t, script, nil)
	b, _ := startScript(t, script, nil)
	s := serve(t, options{MaxQueueWait: 20 * time.Second}, a, b)
	end := s.under(t, 8)
	for n := range 10 {
		p := []*Python{a, b}[n%2]
		w, err := p.current()
		require.NoError(t, err)
		w.kill()
		require.Eventually(t, func() bool { return p.Restarts() == n/2+1 && p.Ready() == nil }, 20*time.Second, time.Millisecond)
		before := s.deployment.Stats().Requests
		require.Eventually(t, func() bool { return s.deployment.Stats().Requests > before+20 }, 20*time.Second, time.Millisecond)
	}
	answered, bad := end()
	require.Empty(t, bad)
	require.Greater(t, answered, int64(200))
}

// TestAtMostOnce: a call that must not be repeated is not.
func TestAtMostOnce(t *testing.T) {
	t.Parallel()
	p, _ := startScript(t, "import os\ndef init(): pass\ndef run(d): os._exit(1)\n", nil)
	s := serve(t, options{AtMostOnce: true}, p)
	require.Equal(t, http.StatusBadGateway, s.ask(t, "POST", "/score", "").status)
	require.Eventually(t, func() bool { return p.Restarts() == 1 }, 20*time.Second, time.Millisecond)
}

func TestStats(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	s := serve(t, options{ScoringTimeout: 100 * time.Millisecond}, Handler(func(_ context.Context, input json.RawMessage) (any, error) {
		switch string(input) {
		case "1":
			return nil, errors.New("it fails")
		case "2":
			<-hold
		}
		return 1, nil
	}))
	for _, body := range []string{"0", "1", "2", "x"} {
		s.ask(t, "POST", "/score", body)
	}
	close(hold)
	require.Eventually(t, func() bool { return s.deployment.Stats().Requests == 4 }, 10*time.Second, time.Millisecond)
	stats := s.deployment.Stats()
	require.EqualValues(t, 1, stats.Failures)
	require.EqualValues(t, 1, stats.Timeouts)
	require.Positive(t, stats.Time)
	status, answer, err := s.deployment.Check(t.Context(), []byte("0"))
	require.NoError(t, err)
	require.Equal(t, "200 1", fmt.Sprint(status, " ", string(answer)))
	_, _, err = s.deployment.Check(t.Context(), []byte("1"))
	require.ErrorContains(t, err, "it fails")
}

// TestInferenceIsAskedAnew: a deployment that is replaced after the protocol has found it,
// such as while a body is still being sent, has its successor answer.
func TestInferenceIsAskedAnew(t *testing.T) {
	t.Parallel()
	c := control(t, false, echoes)
	found, err := repository{c.scoring}.Model(t.Context(), "model", "")
	require.NoError(t, err)
	require.Equal(t, "blue", found.Version)
	c.route(t, c.green)
	require.NoError(t, c.blue.Close(t.Context()))
	req, err := openinference.ParseRequest([]byte(`{"inputs":[{"name":"x","shape":[1],"datatype":"INT64","data":[7]}]}`))
	require.NoError(t, err)
	got, err := found.Infer(t.Context(), req)
	require.NoError(t, err)
	require.Equal(t, "green", got.ModelVersion)

	require.NoError(t, c.green.Close(t.Context()))
	_, err = found.Infer(t.Context(), req)
	require.ErrorIs(t, err, router.ErrDrained, "nobody has taken its place")
}
