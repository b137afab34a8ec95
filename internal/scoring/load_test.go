package scoring

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/openinference"
	"github.com/azml-go/azml/internal/router"
)

// ending is a scorer that knows how many of its kind there are.
type ending struct {
	Scorer
	there *atomic.Int32
}

func (e ending) Close(ctx context.Context) error {
	e.there.Add(-1)
	return e.Scorer.Close(ctx)
}

// controlled serves two deployments, blue with all of the traffic, whose replicas f
// makes; it counts them.
type controlled struct {
	*service
	blue, green *Deployment
	there       atomic.Int32
	open        atomic.Bool // lets everybody in
}

func control(t *testing.T, on bool, f func(ctx context.Context) (Scorer, error)) *controlled {
	t.Helper()
	c := &controlled{}
	c.service = &service{scoring: NewServer(Config{ModelControl: on, Open: c.open.Load, Authorize: func(key string) bool { return key == "the-key" }})}
	start := func(name string) *Deployment {
		d, err := StartDeployment(t.Context(), DeploymentConfig{Name: name, Start: func(ctx context.Context) (Scorer, error) {
			s, err := f(ctx)
			if err == nil {
				c.there.Add(1)
			}
			return ending{s, &c.there}, err
		}})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, d.Close(context.Background())) })
		return d
	}
	c.blue, c.green = start("blue"), start("green")
	c.route(t, c.blue, c.green)
	c.Server = httptest.NewServer(c.scoring)
	t.Cleanup(c.Close)
	return c
}

func (c *controlled) route(t *testing.T, all ...*Deployment) {
	t.Helper()
	var routes []router.Route[*Deployment]
	for i, d := range all {
		routes = append(routes, router.Route[*Deployment]{Name: d.Name(), To: d, Percent: max(0, 100-100*i)})
	}
	require.NoError(t, c.scoring.SetRoutes(routes))
}

const (
	loadPath   = "/v2/repository/models/model/load"
	unloadPath = "/v2/repository/models/model/unload"
)

const withKey = "Authorization: Bearer the-key"

func echoes(context.Context) (Scorer, error) { return echo, nil }

// expect asks and compares the answers.
func (c *controlled) expect(t *testing.T, steps [][4]string) {
	t.Helper()
	for _, step := range steps {
		got := c.ask(t, step[0], step[1], step[2], withKey)
		require.Regexp(t, "(?s)^"+step[3], http.StatusText(got.status)+": "+got.body, "%s %s", step[0], step[1])
	}
}

// TestUnload: what is unloaded has no replicas and is not there for anybody until it is
// loaded again.
func TestUnload(t *testing.T) {
	t.Parallel()
	c := control(t, true, echoes)
	require.EqualValues(t, 2, c.there.Load())
	c.expect(t, [][4]string{{"POST", unloadPath, `{"parameters": {"unload_dependents": true}}`, "OK"}, {"POST", unloadPath, "", "OK"}})
	require.Zero(t, c.there.Load())
	require.Zero(t, c.blue.Stats().Replicas)
	c.expect(t, [][4]string{
		{"POST", "/v2/repository/index", "", `OK: \[{"name":"model","version":"blue","state":"UNAVAILABLE","reason":"unloaded"},{"name":"model","version":"green","state":"UNAVAILABLE","reason":"unloaded"}\]`},
		{"POST", "/v2/repository/index", `{"ready": true}`, `OK: \[\]`},
		{"GET", "/v2/models/model/ready", "", `Service Unavailable: {"name":"model","ready":false}`},
		{"GET", "/v2/models/model/versions/green/ready", "", `Service Unavailable: {"name":"model","ready":false}`},
		{"GET", "/v2/health/ready", "", `Service Unavailable: {"ready":false}`},
		{"GET", "/v2/health/live", "", `OK`},
		{"GET", "/", "", `Service Unavailable`},
		{"POST", inferPath, inferBody, `Service Unavailable: {"error":"unavailable: the model was unloaded`},
		{"POST", "/score", "1", `Service Unavailable: {"message":"The model was unloaded`},
		{"POST", "/versions/green/score", "1", `Service Unavailable: {"message":"The model was unloaded`},
		{"POST", loadPath, "", "OK"}, {"POST", loadPath, "{}", "OK"},
		{"POST", "/v2/repository/index", "", `OK: .*READY.*READY`},
		{"POST", "/score", "1", `OK: 1`},
	})
	require.EqualValues(t, 2, c.there.Load())
}

// TestUnloadStays: other shares of the traffic load nothing; another deployment is loaded.
func TestUnloadStays(t *testing.T) {
	t.Parallel()
	c := control(t, true, echoes)
	c.expect(t, [][4]string{{"POST", unloadPath, "", "OK"}})
	c.route(t, c.green, c.blue)
	c.expect(t, [][4]string{{"POST", "/score", "1", "Service Unavailable"}})
	c.route(t, options{}.start(t, "red", echo), c.blue)
	c.expect(t, [][4]string{{"POST", "/score", "1", "OK"}, {"POST", "/versions/blue/score", "1", "Service Unavailable"},
		{"POST", "/v2/repository/index", "", `OK: .*"red","state":"READY".*"blue","state":"UNAVAILABLE"`}})
}

// TestUnloadRefused: who may not, or asks for what is not taken, is told what to do.
func TestUnloadRefused(t *testing.T) {
	t.Parallel()
	off, on := control(t, false, echoes), control(t, true, echoes)
	off.expect(t, [][4]string{
		{"POST", unloadPath, "", `Forbidden: .*--model-control explicit`},
		{"POST", "/v2/repository/models/other/unload", "", "Not Found"},
		{"POST", loadPath, "", "OK"}, // it is
	})
	on.expect(t, [][4]string{
		{"POST", "/v2/repository/models/other/unload", "", "Not Found"},
		{"POST", loadPath, `{"parameters": {"config": "{}"}}`, `Bad Request: .*config`},
		{"POST", loadPath, `{"parameters": {"unload_dependents": true}}`, `Bad Request: .*unload_dependents`},
		{"POST", unloadPath, `{"parameters": {"unload_dependents": 1}}`, `Bad Request: .*unload_dependents`},
		{"POST", unloadPath, `{`, `Bad Request`},
		{"POST", "/score", "1", "OK"},
	})
}

// TestUnloadOpen: while a service lets everybody in nobody may unload it.
func TestUnloadOpen(t *testing.T) {
	t.Parallel()
	c := control(t, true, echoes)
	c.open.Store(true)
	c.expect(t, [][4]string{{"POST", unloadPath, "", `Forbidden: .*lets everybody in.*--auth`}, {"POST", "/score", "1", "OK"}, {"POST", loadPath, "", "OK"}})
	c.open.Store(false)
	c.expect(t, [][4]string{{"POST", unloadPath, "", "OK"}})
	c.open.Store(true)
	c.expect(t, [][4]string{{"POST", loadPath, "", "Forbidden: .*lets everybody in"}, {"POST", "/score", "1", "Service Unavailable"}})
}

// TestUnloadWaits: requests under way are answered, and none begins.
func TestUnloadWaits(t *testing.T) {
	t.Parallel()
	began, goOn := make(chan struct{}), make(chan struct{})
	c := control(t, true, func(context.Context) (Scorer, error) {
		return Handler(func(context.Context, json.RawMessage) (any, error) {
			close(began)
			<-goOn
			return 1, nil
		}), nil
	})
	scored, unloaded := make(chan int, 1), make(chan int, 1)
	go func() { scored <- c.ask(t, "POST", "/score", "1", withKey).status }()
	<-began
	go func() { unloaded <- c.ask(t, "POST", unloadPath, "", withKey).status }()
	require.Eventually(t, func() bool {
		return strings.Contains(c.ask(t, "POST", "/v2/repository/index", "", withKey).body, `"blue","state":"UNLOADING"`)
	}, time.Minute, time.Millisecond)
	require.Equal(t, 503, c.ask(t, "POST", "/score", "1", withKey).status)
	require.Empty(t, unloaded)
	close(goOn)
	require.Equal(t, 200, <-scored)
	require.Equal(t, 200, <-unloaded)
}

// TestLoadFails: the client is told why, and may ask again.
func TestLoadFails(t *testing.T) {
	t.Parallel()
	var fails atomic.Bool
	c := control(t, true, func(context.Context) (Scorer, error) {
		if fails.Load() {
			return nil, errors.New("the file has gone")
		}
		return echo, nil
	})
	fails.Store(true)
	c.expect(t, [][4]string{{"POST", unloadPath, "", "OK"}, {"POST", loadPath, "", `Internal Server Error: {"error":"failed: deployment .*the file has gone`},
		{"POST", "/score", "1", "Service Unavailable"}})
	fails.Store(false)
	c.expect(t, [][4]string{{"POST", loadPath, "", "OK"}, {"POST", "/score", "1", "OK"}})
}

// TestCloseEndsLoad: a deployment that ends does not wait for what is being loaded.
func TestCloseEndsLoad(t *testing.T) {
	t.Parallel()
	var again atomic.Bool
	loading := make(chan struct{})
	d, err := StartDeployment(t.Context(), DeploymentConfig{Name: "main", Start: func(ctx context.Context) (Scorer, error) {
		if again.Swap(true) {
			close(loading)
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return echo, nil
	}})
	require.NoError(t, err)
	require.NoError(t, d.Unload(t.Context()))
	loaded := make(chan error, 1)
	go func() { loaded <- d.Load(t.Context()) }()
	<-loading
	require.Equal(t, "LOADING", string(d.entry().State))
	require.NoError(t, d.Close(t.Context()))
	require.Error(t, <-loaded)
	require.ErrorIs(t, d.Load(t.Context()), azml.ErrClosed)
}

// TestLoadBesideUnload: whatever is asked for at once, all deployments are loaded, or none.
func TestLoadBesideUnload(t *testing.T) {
	t.Parallel()
	c := control(t, true, echoes)
	models := repository{c.scoring}
	var asked sync.WaitGroup
	for range 20 {
		asked.Go(func() { _ = models.Load(t.Context(), "model") })
		asked.Go(func() { _ = models.Unload(t.Context(), "model") })
		asked.Go(func() {
			req := question([]byte("1"))
			if _, done, err := c.blue.Score(t.Context(), req, nil); err == nil {
				done()
			}
		})
	}
	asked.Wait()
	require.Contains(t, []int32{0, 2}, c.there.Load())
	require.Equal(t, c.blue.Available() == nil, c.green.Available() == nil)
}

// TestUnloadedReplaced: what reaches an unloaded deployment after its end goes to who has
// taken its place.
func TestUnloadedReplaced(t *testing.T) {
	t.Parallel()
	c := control(t, true, echoes)
	c.expect(t, [][4]string{{"POST", unloadPath, "", "OK"}})
	require.ErrorIs(t, c.blue.Available(), openinference.ErrUnloaded)
	require.NoError(t, c.blue.Close(t.Context()))
	require.ErrorIs(t, c.blue.Available(), azml.ErrClosed)
	require.Equal(t, "no replica is ready", c.blue.entry().Reason)
	_, _, err := c.blue.Score(t.Context(), question([]byte("1")), nil)
	require.ErrorIs(t, err, router.ErrDrained)
}

// TestImpatientChange: a change whose client is gone before it begins is dropped.
func TestImpatientChange(t *testing.T) {
	t.Parallel()
	c := control(t, true, echoes)
	models := repository{c.scoring}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, c.scoring.changing.take(t.Context()))
	require.ErrorIs(t, models.Unload(gone, "model"), context.Canceled)
	c.scoring.changing.give()
	require.ErrorIs(t, models.Unload(gone, "model"), context.Canceled)
	require.EqualValues(t, 2, c.there.Load())
	require.NoError(t, models.Unload(t.Context(), "model"))
}

// TestChangeAtTheEnd: a change that waits for its turn when the service ends, or comes later,
// is an error, also when no deployment is left.
func TestChangeAtTheEnd(t *testing.T) {
	t.Parallel()
	c := control(t, true, echoes)
	require.NoError(t, c.scoring.changing.take(t.Context()))
	answered := make(chan int, 1)
	go func() { answered <- c.ask(t, "POST", loadPath, "", withKey).status }()
	c.scoring.EndLoads()
	c.scoring.changing.give()
	require.Equal(t, http.StatusServiceUnavailable, <-answered)
	c.scoring.Shutdown()
	require.ErrorIs(t, repository{c.scoring}.Unload(t.Context(), "model"), azml.ErrUnavailable)
}

// TestCloseHeedsContext: a load that does not give up holds up no end; what it gives is ended.
func TestCloseHeedsContext(t *testing.T) {
	t.Parallel()
	var there atomic.Int32
	loading, goOn := make(chan struct{}, 2), make(chan struct{}, 2)
	goOn <- struct{}{}
	d, err := StartDeployment(t.Context(), DeploymentConfig{Name: "main", Start: func(context.Context) (Scorer, error) {
		loading <- struct{}{}
		<-goOn
		there.Add(1)
		return ending{echo, &there}, nil
	}})
	require.NoError(t, err)
	<-loading
	require.NoError(t, d.Unload(t.Context()))
	loaded := make(chan error, 1)
	go func() { loaded <- d.Load(t.Context()) }()
	<-loading
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, d.Close(ended), azml.ErrUnavailable)
	require.ErrorIs(t, d.Load(t.Context()), azml.ErrClosed)
	goOn <- struct{}{}
	if err := <-loaded; err != nil { // it may have ended before it heard of it
		require.ErrorIs(t, err, context.Canceled)
	}
	require.Eventually(t, func() bool { return there.Load() == 0 }, time.Minute, time.Millisecond)
}

// TestCloseEndsUnload: a deployment that ends lets who unloads it go, and waits for the
// requests itself.
func TestCloseEndsUnload(t *testing.T) {
	t.Parallel()
	began, goOn := make(chan struct{}), make(chan struct{})
	d, err := StartDeployment(t.Context(), DeploymentConfig{Name: "main", Start: func(context.Context) (Scorer, error) {
		return Handler(func(context.Context, json.RawMessage) (any, error) {
			close(began)
			<-goOn
			return 1, nil
		}), nil
	}})
	require.NoError(t, err)
	scored, unloaded, closed := make(chan error, 1), make(chan error, 1), make(chan error, 1)
	go func() {
		_, done, err := d.Score(t.Context(), question([]byte("1")), nil)
		if err == nil {
			done()
		}
		scored <- err
	}()
	<-began
	go func() { unloaded <- d.Unload(t.Context()) }()
	require.Eventually(t, func() bool { return errors.Is(d.Available(), openinference.ErrUnloaded) }, time.Minute, time.Millisecond)
	go func() { closed <- d.Close(context.Background()) }()
	require.ErrorIs(t, <-unloaded, azml.ErrClosed)
	require.Empty(t, closed)
	close(goOn)
	require.NoError(t, <-scored)
	require.NoError(t, <-closed)
}
