package email

import (
	"context"
	"fmt"
)

// Check connects to the server and logs in, and sends nothing. Its errors are those of Send.
func (s *Sender) Check(ctx context.Context) error {
	conn, err := s.dial(ctx)
	if err != nil {
		return fmt.Errorf("connect to mail server: %w", judge(ctx, err))
	}
	s.keep(conn)
	return nil
}
