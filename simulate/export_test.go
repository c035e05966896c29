package simulate

import "time"

// Hurry lets simulations take no longer than this.
func (s *Simulator) Hurry(limit time.Duration) { s.limit = limit }
