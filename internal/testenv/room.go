package testenv

import (
	"fmt"

	"github.com/shirou/gopsutil/v4/disk"
)

// GiB is a gibibyte, in bytes.
const GiB = 1 << 30

// Room gives an error when the disk of a folder has less than so many bytes free.
func Room(dir string, need uint64) error {
	usage, err := disk.Usage(dir)
	if err != nil {
		return err
	}
	if usage.Free < need {
		return fmt.Errorf("the disk of %s has %.1f GiB free, and %.1f are needed", dir, float64(usage.Free)/GiB, float64(need)/GiB)
	}
	return nil
}

// CacheDir gives the folder of what is installed, which is made.
func CacheDir() (string, error) {
	c, err := openCache()
	return c.dir, err
}
