package mlflow

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/history"
)

// artifacts carries over the artifacts of a place that are not in the list yet.
// fresh says that nothing is. It tells whether some were added.
func (i *importer) artifacts(ctx context.Context, at place, list history.FileList, fresh bool) (bool, error) {
	added := false
	have := map[string]files.File{}
	if !fresh {
		there, err := list.Files(ctx, i.h, "")
		if err != nil {
			return false, err
		}
		for _, f := range there.Files {
			have[f.Path] = f
		}
	}
	p := &parcel{importer: i, at: at, have: have, most: parcelFiles, keep: func(ctx context.Context, m *files.Manifest) error {
		added = true
		return list.Add(ctx, i.h, m, false)
	}}
	err := p.fill(ctx)
	return added, err
}

// compare lists a file that is another here: of another size, or with Verify of
// another content.
func (i *importer) compare(ctx context.Context, at place, f file, known files.File) error {
	name := at.name() + "/" + f.path
	if f.size != known.Size {
		i.conflict("file", name, "it has %d bytes here and %d there", known.Size, f.size)
		return nil
	}
	if !i.opts.Verify {
		return nil
	}
	content, err := i.src.open(ctx, at, f.path)
	if err != nil {
		return err
	}
	defer content.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, content); err != nil {
		return err
	}
	if hex.EncodeToString(hash.Sum(nil)) != known.Digest {
		i.conflict("file", name, "it has another content here than there")
	}
	return nil
}

// parcel gathers artifacts of a place, and stores many together.
type parcel struct {
	*importer
	at   place
	have map[string]files.File // those that are here already
	most int64                 // files stored together
	keep func(context.Context, *files.Manifest) error

	batch *files.Batch
	count int64
	bytes int64
}

// The most files and bytes that are stored together, so that an import that is
// cut off need not begin a run anew.
const (
	parcelFiles = 256
	parcelBytes = 256 << 20
)

// fill takes in all artifacts that are not here.
func (p *parcel) fill(ctx context.Context) error {
	defer p.drop()
	for f, err := range p.src.files(ctx, p.at) {
		if bad, ok := errors.AsType[*unreadable](err); ok {
			p.leave(bad.reason, 1, p.at.name())
			return nil
		}
		if err == nil {
			err = p.take(ctx, f)
		}
		if err != nil {
			return fmt.Errorf("artifact %q: %w", f.path, err)
		}
	}
	return p.commit(ctx)
}

// take takes in an artifact, unless it is here or can't be had.
func (p *parcel) take(ctx context.Context, f file) error {
	known, there := p.have[f.path]
	switch {
	case f.problem != "":
		p.leave(f.problem, 1, p.at.name(), f.path)
		return nil
	case files.ValidPath(f.path) != nil:
		p.leave("artifacts whose paths can't be stored", 1, p.at.name(), f.path)
		return nil
	case there:
		return p.compare(ctx, p.at, f, known)
	}
	return p.add(ctx, f)
}

// add adds a file.
func (p *parcel) add(ctx context.Context, f file) (err error) {
	if p.batch == nil {
		if p.batch, err = p.h.Files().NewBatch(ctx, nil); err != nil {
			return err
		}
	}
	switch err := p.read(ctx, f); {
	case errors.Is(err, errGone):
		p.leave(err.Error(), 1, p.at.name(), f.path)
		return nil
	case err != nil:
		return err
	}
	p.count++
	if p.bytes += f.size; p.most > 0 && (p.count >= p.most || p.bytes >= parcelBytes) {
		return p.commit(ctx)
	}
	return nil
}

var errGone = errors.New("artifacts that are listed but can't be had")

// read stores a file's content. A transfer that breaks off is begun again.
func (p *parcel) read(ctx context.Context, f file) error {
	const tries = 3
	for try := 1; ; try++ {
		content, err := p.src.open(ctx, p.at, f.path)
		refused, isRefusal := errors.AsType[*refusal](err)
		if errors.Is(err, fs.ErrNotExist) || isRefusal && refused.status/100 == 4 && !errors.Is(err, azml.ErrDenied) {
			return errGone
		}
		if err != nil {
			return err
		}
		const mode = 0o644
		err = errors.Join(p.batch.Add(ctx, f.path, mode, &exact{r: content, want: f.size}), content.Close())
		if err == nil || ctx.Err() != nil || try == tries {
			return err
		}
	}
}

// exact fails when a content has not the size that it should have.
type exact struct {
	r       io.Reader
	n, want int64
}

// Read implements io.Reader.
func (e *exact) Read(b []byte) (int, error) {
	n, err := e.r.Read(b)
	e.n += int64(n)
	switch {
	case errors.Is(err, io.EOF) && e.n != e.want, e.n > e.want:
		return n, fmt.Errorf("%w: %d bytes came of a file that is said to have %d", azml.ErrUnavailable, e.n, e.want)
	case err != nil && !errors.Is(err, io.EOF):
		return n, fmt.Errorf("%w: %w", azml.ErrUnavailable, err)
	}
	return n, err
}

// commit stores what was gathered.
func (p *parcel) commit(ctx context.Context) error {
	if p.count == 0 {
		return nil
	}
	defer p.drop()
	manifest, _, err := p.batch.Commit(ctx)
	if err != nil {
		return err
	}
	if err := p.keep(ctx, manifest); err != nil {
		return err
	}
	count, bytes := p.count, p.bytes
	p.count, p.bytes = 0, 0
	p.report(func(d *Carried) {
		d.Files += count
		d.Bytes += bytes
	})
	return nil
}

func (p *parcel) drop() {
	if p.batch != nil {
		p.batch.Abort()
		p.batch = nil
	}
}
