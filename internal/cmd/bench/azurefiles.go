package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/files"
)

// How many calls of the SDK go on at once, unless it is to choose: as many as packs are
// stored at once, and ranges of them read, by us.
const (
	azureWorkers = files.DefaultParallel
	azureReaders = files.DefaultParallel * files.ReadsPerPack
)

// sdkBlock is how much of a blob the SDK moves in one call. Its own choice of 4 MiB would
// have the emulator compute an MD5 of each part that is read.
const sdkBlock = 8 << 20

// downTurns are the turns of downloads of a big file, more than others have: a few
// percent are looked for.
const downTurns = 9

// bigFile is the size of the big file.
func (b *bench) bigFile() int64 {
	if b.big {
		return bigSize
	}
	return bigSize / 8
}

// benchBig measures a big file: by the file store, by the object store alone,
// and by the SDK's own calls.
func (c *cloud) benchBig(ctx context.Context) error {
	size := c.bench.bigFile()
	dir, err := c.bench.sub("big")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "big.bin")
	random := rand.NewChaCha8([32]byte{2})
	if err := fill(path, random, size); err != nil {
		return err
	}
	ours := &carrier{cloud: c, dir: dir}
	objects, err := c.store("objects")
	if err != nil {
		return err
	}
	up, err := turns(ctx, 3,
		ours.up, timed(func(ctx context.Context) error { return putFile(ctx, objects, path) }), timed(func(ctx context.Context) error { return c.sdkUp(ctx, path) }))
	if err != nil {
		return err
	}
	down, err := turns(ctx, downTurns,
		warmed(ours.downAndAway), intoFile(path+".got", func(ctx context.Context, f *os.File) error { return getFile(ctx, objects, f) }), intoFile(path+".got", c.sdkDown),
		intoFile(path+".got", func(ctx context.Context, f *os.File) error { return c.sdkDownHashed(ctx, f, size) }),
		intoFile(path+".got", c.sdkDownWider))
	if err != nil {
		return err
	}
	c.bench.report(besideStore(speedFigure(fmt.Sprintf("azure-up-%dMiB", size>>20), size, up[0], up[2]), size, up[1], up[2], named{"requests", float64(ours.requests)}))
	more := []named{{"requests", float64(ours.got)}, {"the SDK's calls, as many at once as ours", float64(size) / 1e6 / median(down[4].value)}, {"ratio to those", ratio(down[4].value, down[0].value)}, {"the SDK's calls with a SHA-256 of what came", float64(size) / 1e6 / median(down[3].value)}, {"ratio to these", ratio(down[3].value, down[0].value)}, {"their CPU s", median(down[3].cpu)}}
	c.bench.report(besideStore(speedFigure(fmt.Sprintf("azure-down-%dMiB", size>>20), size, down[0], down[2]), size, down[1], down[2], more...))
	if err := c.benchLine(ctx, ours, path, size); err != nil {
		return err
	}
	for _, places := range []int64{1, 4, 100} {
		if err := c.bigChanged(ctx, ours, path, random, places); err != nil {
			return err
		}
	}
	return nil
}

// speedFigure makes a figure of how fast we and the SDK moved so many bytes.
func speedFigure(name string, size int64, ours, sdk series) figure {
	f := figureOf(name, "MB/s", 1, ours, "the SDK's own calls, of one blob", sdk)
	f.Ratio = ratio(sdk.value, ours.value)
	f.Value, f.Floor.Value = float64(size)/1e6/f.Value, float64(size)/1e6/f.Floor.Value
	f.Beside = []named{{"CPU s", median(ours.cpu)}, {"floor's CPU s", median(sdk.cpu)}}
	f.Note = "ratio: of speeds, ours to the SDK's; 1 is as fast"
	return f
}

// besideStore adds how fast the object store alone was beside the SDK, and more.
func besideStore(f figure, size int64, store, sdk series, more ...named) figure {
	f.Beside = append(f.Beside, named{"the object store alone", float64(size) / 1e6 / median(store.value)}, named{"its ratio", ratio(sdk.value, store.value)}, named{"its CPU s", median(store.cpu)})
	f.Beside = append(f.Beside, more...)
	return f
}

// warmed is a side of which the second of two runs counts: the first leaves in memory
// what the emulator reads, and at hand the memory that a file takes while it is written.
// On a virtual machine whoever first writes a file after a few seconds may pay over a
// second of CPU time for a GiB, probably since memory that nobody uses goes back to the
// host, and whoever writes after him finds his pages.
func warmed(do side) side {
	return func(ctx context.Context) (sample, error) {
		if s, err := do(ctx); err != nil {
			return s, err
		}
		return do(ctx)
	}
}

// downAndAway is down, and removes what was restored: disks have an end.
func (c *carrier) downAndAway(ctx context.Context) (sample, error) {
	s, err := c.down(ctx)
	return s, errors.Join(err, os.RemoveAll(c.restored))
}

// intoFile is a side that gets something into a new file, and removes that when its time
// was taken, as downAndAway does.
func intoFile(path string, get func(ctx context.Context, f *os.File) error) side {
	return warmed(func(ctx context.Context) (sample, error) {
		s, err := timed(func(ctx context.Context) error {
			f, err := os.Create(path)
			if err != nil {
				return err
			}
			return errors.Join(get(ctx, f), f.Close())
		})(ctx)
		return s, errors.Join(err, os.Remove(path))
	})
}

// fill writes a file of random bytes.
func fill(path string, random io.Reader, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.CopyN(f, random, size)
	return errors.Join(err, f.Close())
}

// bigChanged changes 1 % of the file, in so many places, and stores it again.
func (c *cloud) bigChanged(ctx context.Context, ours *carrier, path string, random io.Reader, places int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	size := c.bench.bigFile()
	part := make([]byte, size/100/places)
	for i := range places {
		if _, err := io.ReadFull(random, part); err != nil {
			return err
		}
		if _, err := f.WriteAt(part, i*size/places+12345); err != nil {
			return err
		}
	}
	if err := f.Close(); err != nil {
		return err
	}
	s, err := ours.again(ctx)
	if err != nil {
		return err
	}
	c.bench.report(figure{Name: fmt.Sprintf("azure-1%%-changed-of-%dMiB-in-%d-places", size>>20, places), Value: 100 * float64(ours.sent) / float64(size), Unit: "% sent", N: 1,
		Beside: []named{{"s", s.value}, {"requests", float64(ours.requests)}}})
	return nil
}

func putFile(ctx context.Context, objects backend.Objects, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	_, err = objects.Put(ctx, "big", io.NewSectionReader(f, 0, info.Size()), &backend.PutOptions{})
	return err
}

func getFile(ctx context.Context, objects backend.Objects, f *os.File) error {
	object, err := objects.Get(ctx, "big", &backend.GetOptions{})
	if err != nil {
		return err
	}
	defer object.Body.Close()
	_, err = io.Copy(f, object.Body)
	return err
}

func (c *cloud) sdkUp(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = c.client.NewBlockBlobClient("sdk/big").UploadFile(ctx, f, &blockblob.UploadFileOptions{BlockSize: sdkBlock, Concurrency: azureWorkers})
	return err
}

// sdkDown makes as many calls at once as the SDK makes by itself, which are five.
func (c *cloud) sdkDown(ctx context.Context, f *os.File) error { return c.sdkDownBy(ctx, f, 0) }

// sdkDownWider makes as many as we do.
func (c *cloud) sdkDownWider(ctx context.Context, f *os.File) error {
	return c.sdkDownBy(ctx, f, azureReaders)
}

func (c *cloud) sdkDownBy(ctx context.Context, f *os.File, calls uint16) error {
	_, err := c.client.NewBlobClient("sdk/big").DownloadFile(ctx, f, &blob.DownloadFileOptions{BlockSize: sdkBlock, Concurrency: calls})
	return err
}

// sdkDownHashed is sdkDown with a digest of each block, as whoever wants to know
// that he has what was stored must make one. Each block is one request, as there:
// by default a buffer is filled by requests of 4 MiB, for each of which the emulator
// computes an MD5.
func (c *cloud) sdkDownHashed(ctx context.Context, f *os.File, size int64) error {
	work, buffers := newWork(ctx, azureReaders), make(chan []byte, azureReaders)
	for range azureReaders {
		buffers <- make([]byte, sdkBlock)
	}
	var err error
	for offset := int64(0); offset < size && err == nil; offset += sdkBlock {
		err = work.run(func(ctx context.Context) error {
			buffer := <-buffers
			defer func() { buffers <- buffer }()
			part := buffer[:min(sdkBlock, size-offset)]
			if _, err := c.client.NewBlobClient("sdk/big").DownloadBuffer(ctx, part, &blob.DownloadBufferOptions{Range: blob.HTTPRange{Offset: offset, Count: int64(len(part))}, BlockSize: sdkBlock, Concurrency: 1}); err != nil {
				return err
			}
			if sha256.Sum256(part) == [sha256.Size]byte{} {
				return errors.New("a digest of zeros")
			}
			_, err := f.WriteAt(part, offset)
			return err
		})
	}
	return errors.Join(err, work.wait())
}

// benchSmall measures many small files beside one blob for each.
func (c *cloud) benchSmall(ctx context.Context) error {
	src, err := c.bench.newSource(false)
	if err != nil {
		return err
	}
	defer os.RemoveAll(src.dir)
	ours := &carrier{cloud: c, dir: src.dir}
	sides := []side{ours.up, ours.down, timed(func(ctx context.Context) error { return c.sdkUpAll(ctx, src.dir) }), timed(c.sdkDownAll)}
	if c.bench.versus(peerDVC) {
		d, err := c.newDVC(ctx, src)
		if err != nil {
			return err
		}
		sides = append(sides, d.push, d.pull)
	}
	got, err := turns(ctx, 2, sides...)
	if err != nil {
		return err
	}
	for i, way := range []string{"up", "down"} {
		f := figureOf("azure-5000x4KiB-"+way, "s", 1, got[i], "the SDK's own calls, a blob for each file, 16 at once", got[2+i])
		f.Beside = []named{{"CPU", median(got[i].cpu)}, {"floor's CPU", median(got[2+i].cpu)}, {"requests up", float64(ours.requests)}, {"requests down", float64(ours.got)}}
		if len(got) > 4 {
			f.Beside = append(f.Beside, named{"DVC", median(got[4+i].value)})
		}
		c.bench.report(f)
	}
	return nil
}

// smallWorkers is how many small blobs the floor moves at once.
const smallWorkers = 16

func (c *cloud) sdkUpAll(ctx context.Context, dir string) error {
	work := newWork(ctx, smallWorkers)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return work.run(func(ctx context.Context) error {
			data, err := os.ReadFile(path)
			if err == nil {
				_, err = c.client.NewBlockBlobClient("sdk/small/"+filepath.ToSlash(name)).UploadBuffer(ctx, data, nil)
			}
			return err
		})
	})
	return errors.Join(err, work.wait())
}

func (c *cloud) sdkDownAll(ctx context.Context) error {
	dir, err := c.bench.sub("small") // removed with all else: see carrier.down
	if err != nil {
		return err
	}
	work := newWork(ctx, smallWorkers)
	for i := range smallFiles {
		name := fmt.Sprintf("%d/%d.bin", i/100, i)
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
			return err
		}
		if err := work.run(func(ctx context.Context) error {
			data := make([]byte, smallSize)
			if _, err := c.client.NewBlobClient("sdk/small/"+name).DownloadBuffer(ctx, data, nil); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, name), data, 0o600)
		}); err != nil {
			break
		}
	}
	return work.wait()
}
