package scoring

import (
	"context"
	"net/http"
	"slices"
)

// maxCopies is how many copies of requests are under way at once; what comes
// beyond that, or finds no room, is dropped, so that a slow mirror costs the service nothing.
const maxCopies = 100

// mirror gives a copy of a deployment's request to the one that gets some, when it is
// that one's turn, and drops its answer. It never waits.
func (s *Server) mirror(from *Deployment, req *Request) {
	if route, ok := s.table.Load().Mirror(from.Name()); ok {
		s.copy(route.To, req)
	}
}

func (s *Server) copy(to *Deployment, req *Request) {
	room := &share{of: s.limits.Load().room}
	if !room.needNow(int64(len(req.Body))) {
		to.counts.dropped.Add(1)
		return
	}
	select {
	case s.copies <- struct{}{}:
	default:
		room.leave()
		to.counts.dropped.Add(1)
		return
	}
	to.counts.mirrored.Add(1)
	twin := *req
	twin.Header, twin.Body, twin.share = req.Header.Clone(), slices.Clone(req.Body), room
	s.copying.Go(func() {
		defer func() {
			room.leave()
			<-s.copies
		}()
		resp, done, err := to.Score(context.Background(), &twin, nil)
		if err != nil {
			to.counts.failures.Add(1)
			s.cfg.Logger.Warn("the copy of a request failed", "deployment", to.Name(), "request_id", twin.ID, "error", err)
			return
		}
		if resp.Failed || resp.Status >= http.StatusInternalServerError {
			to.counts.failures.Add(1)
		}
		done()
	})
}
