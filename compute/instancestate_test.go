package compute

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/record"
)

func TestStateOf(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		operation, status string
		ago               time.Duration
		is                backend.InstanceStatus
		state             InstanceState
		trigger           Trigger
	}{
		"its image is made":         {"Create", "InProgress", time.Minute, backend.InstanceStatus{Phase: backend.InstanceMissing}, InstanceCreating, TriggerUser},
		"its maker died":            {"Create", "InProgress", 2 * time.Hour, backend.InstanceStatus{Phase: backend.InstanceMissing}, InstanceCreateFailed, TriggerUser},
		"it could not be made":      {"Create", "CreateFailed", time.Minute, backend.InstanceStatus{Phase: backend.InstanceMissing}, InstanceCreateFailed, TriggerUser},
		"it comes up":               {"Create", "InProgress", time.Minute, backend.InstanceStatus{Phase: backend.InstanceSettingUp}, InstanceSettingUp, TriggerUser},
		"it runs":                   {"Create", "Succeeded", time.Hour, backend.InstanceStatus{Phase: backend.InstanceRunning}, InstanceRunning, TriggerUser},
		"it is being stopped":       {"Stop", "InProgress", time.Second, backend.InstanceStatus{Phase: backend.InstanceRunning}, InstanceStopping, TriggerUser},
		"its stopper died":          {"Stop", "InProgress", 2 * time.Hour, backend.InstanceStatus{Phase: backend.InstanceRunning}, InstanceRunning, TriggerUser},
		"it is stopped":             {"Stop", "Succeeded", time.Hour, backend.InstanceStatus{Phase: backend.InstanceStopped}, InstanceStopped, TriggerUser},
		"it is being started":       {"Start", "InProgress", time.Second, backend.InstanceStatus{Phase: backend.InstanceStopped}, InstanceStarting, TriggerUser},
		"it did not start":          {"Start", "StartFailed", time.Second, backend.InstanceStatus{Phase: backend.InstanceStopped}, InstanceStopped, TriggerUser},
		"between stop and start":    {"Restart", "InProgress", time.Second, backend.InstanceStatus{Phase: backend.InstanceStopped}, InstanceRestarting, TriggerUser},
		"it is deleted":             {"Delete", "InProgress", time.Second, backend.InstanceStatus{Phase: backend.InstanceStopped}, InstanceDeleting, TriggerUser},
		"nobody used it":            {"Start", "Succeeded", time.Hour, backend.InstanceStatus{Phase: backend.InstanceStopped, Idle: true, Since: now.Add(-time.Minute)}, InstanceStopped, TriggerIdleShutdown},
		"started after it was idle": {"Start", "InProgress", time.Second, backend.InstanceStatus{Phase: backend.InstanceStopped, Idle: true, Since: now.Add(-time.Minute)}, InstanceStarting, TriggerUser},
	} {
		r := record.Compute{LastOperation: &record.ComputeOperation{Name: c.operation, Status: c.status, Trigger: string(TriggerUser), Time: now.Add(-c.ago), Error: "why"}}
		got := stateOf(r, c.is, now)
		require.Equal(t, c.state, got.State, name)
		require.Equal(t, c.trigger, got.LastOperation.Trigger, name)
	}
}
