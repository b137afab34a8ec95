package main

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/azml-go/azml/internal/terminal"
	"github.com/azml-go/azml/internal/watch"
)

// redrawEvery is the time between two pages of what is watched.
const redrawEvery = 250 * time.Millisecond

// watchScreen shows the run on the whole terminal, and at its end, or when the
// user leaves, the last state below what was there before.
func (a *app) watchScreen(ctx context.Context, w *watch.Watcher, out *os.File) error {
	style := a.style()
	if err := a.watchLive(ctx, w, out, style); err != nil {
		return err
	}
	if w.Err() != nil && ctx.Err() == nil {
		return nil // the run is not there any more
	}
	return a.summarize(w, style)
}

// watchLive draws until the watcher has ended, ctx has, or the user leaves.
func (a *app) watchLive(ctx context.Context, w *watch.Watcher, out *os.File, style terminal.Style) error {
	return a.live(ctx, out, w.Ended(), func(width, height int) ([]string, error) {
		v := &runPage{style: style, now: time.Now(), width: width, height: height}
		w.Look(v.now, v.draw)
		return v.lines, nil
	})
}

// live shows what draw gives on the whole terminal, again and again, until there is
// nothing more to come, ctx ends, the user leaves or draw fails.
func (a *app) live(ctx context.Context, out *os.File, ended <-chan struct{}, draw func(width, height int) ([]string, error)) (err error) {
	pushed, restore := a.keys()
	defer restore()
	screen, err := terminal.OpenScreen(out)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := screen.Close(); err == nil {
			err = closeErr
		}
	}()
	ticker := time.NewTicker(redrawEvery)
	defer ticker.Stop()
	for {
		lines, err := draw(screen.Size())
		if err == nil {
			err = screen.Draw(lines)
		}
		if err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case key := <-pushed:
			if key == 'q' || key == 'Q' || key == terminal.CtrlC {
				return nil
			}
		case <-ended:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// keys reads keys when there is somebody who pushes them.
func (a *app) keys() (pushed <-chan byte, restore func()) {
	in, ok := a.stdin.(*os.File)
	if !ok || !terminal.IsTerminal(in) {
		return nil, func() {}
	}
	keys, err := terminal.OpenKeys(in)
	if err != nil { // Ctrl-C still works
		return nil, func() {}
	}
	return keys.Pushed(), func() {
		if err := keys.Close(); err != nil {
			a.say("azml: the terminal could not be set back: %v", err)
		}
	}
}

// summarize prints what the run came to so far.
func (a *app) summarize(w *watch.Watcher, style terminal.Style) error {
	const mostRows = 60
	v := &runPage{style: style, now: time.Now(), width: a.width(), height: mostRows, still: true}
	w.Look(v.now, v.draw)
	_, err := a.stdout.Write([]byte(strings.Join(v.lines, "\n") + "\n"))
	return err
}
