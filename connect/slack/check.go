package slack

import "context"

// Check asks Slack who the token is, and sends nothing. What an incoming webhook is good for only a
// message would tell: there it returns nil. Its errors are those of Send.
func (s *Sender) Check(ctx context.Context) error {
	if s.config.Token == "" {
		return nil
	}
	_, err := s.api.AuthTestContext(ctx)
	return wrap("ask slack who the token is", err)
}
