package world

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const flushEvery = 200 * time.Millisecond

// openOutbox returns an outbox with what its folder remembers; without a folder it is empty.
func openOutbox(dir string, log *slog.Logger) (*outbox, error) {
	o := newOutbox()
	if dir == "" {
		return o, nil
	}
	path := filepath.Join(dir, "outbox.jsonl")
	items, err := readItems(path)
	if err != nil {
		return nil, fmt.Errorf("read the outbox: %w", err)
	}
	o.all = items
	if len(items) > 0 {
		o.last = items[len(items)-1].ID
	}
	if o.file, err = openFile(path, items, log); err != nil {
		return nil, fmt.Errorf("open the outbox: %w", err)
	}
	return o, nil
}

// readItems returns the newest items of the file. A line that cannot be read, as a crash leaves
// one at the end, is skipped.
func readItems(path string) ([]Item, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	var items []Item
	for _, line := range lines[max(0, len(lines)-maxItems):] {
		var item Item
		if json.Unmarshal(line, &item) == nil && item.ID > 0 {
			items = append(items, item)
		}
	}
	return items, nil
}

// file writes items behind the requests that brought them, every 200 ms.
type file struct {
	path string
	log  *slog.Logger
	done chan struct{}
	quit chan struct{}

	mu      sync.Mutex
	pending []Item
	wipe    bool

	writing sync.Mutex // held while f is written to
	f       *os.File
}

// openFile rewrites the file with what is still remembered, so that it does not grow for ever,
// and opens it for more.
func openFile(path string, items []Item, log *slog.Logger) (*file, error) {
	var b bytes.Buffer
	if err := encode(&b, items); err != nil {
		return nil, err
	}
	if err := os.WriteFile(path+".new", b.Bytes(), 0o600); err != nil {
		return nil, err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	w := &file{path: path, log: log, f: f, done: make(chan struct{}), quit: make(chan struct{})}
	go w.run()
	return w, nil
}

func (f *file) append(item Item) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pending = append(f.pending, item)
}

// truncate forgets what is in the file and what was on its way there.
func (f *file) truncate() {
	f.mu.Lock()
	f.pending, f.wipe = nil, true
	f.mu.Unlock()
	f.flush()
}

func (f *file) run() {
	defer close(f.done)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			f.flush()
		case <-f.quit:
			return
		}
	}
}

func (f *file) flush() {
	f.writing.Lock()
	defer f.writing.Unlock()
	f.mu.Lock()
	items, wipe := f.pending, f.wipe
	f.pending, f.wipe = nil, false
	f.mu.Unlock()
	if wipe {
		if err := f.f.Truncate(0); err != nil {
			f.log.Error("empty the outbox file", "error", err)
		}
	}
	if len(items) == 0 {
		return
	}
	w := bufio.NewWriterSize(f.f, 1<<20)
	if err := errors.Join(encode(w, items), w.Flush()); err != nil {
		f.log.Error("write the outbox file", "error", err)
	}
}

func (f *file) close() error {
	close(f.quit)
	<-f.done
	f.flush()
	if err := f.f.Close(); err != nil {
		return fmt.Errorf("close the outbox: %w", err)
	}
	return nil
}

func encode(w interface{ Write([]byte) (int, error) }, items []Item) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for _, item := range items {
		if err := e.Encode(item); err != nil {
			return err
		}
	}
	return nil
}
