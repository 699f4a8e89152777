package localaws

// callerIdentity answers as to the root user of the account.
func (c *call) callerIdentity() (any, error) {
	return struct {
		ARN     string `xml:"Arn"`
		UserID  string `xml:"UserId"`
		Account string
	}{"arn:" + partition(c.region) + ":iam::" + c.s.account + ":root", c.s.account, c.s.account}, nil
}
