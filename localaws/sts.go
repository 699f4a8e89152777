package localaws

// stsActions are the actions of STS. Nothing here gives out credentials: any will do.
var stsActions = []action{
	{name: "AssumeRole", does: "temporary credentials of a role"},
	{name: "AssumeRoleWithSAML", does: "the same, for a SAML assertion"},
	{name: "AssumeRoleWithWebIdentity", does: "the same, for a web identity token"},
	{name: "AssumeRoot", does: "temporary credentials of a member account's root"},
	{name: "DecodeAuthorizationMessage", does: "explains a refusal"},
	{name: "GetAccessKeyInfo", does: "the account of an access key"},
	{name: "GetCallerIdentity", does: "who the caller is", run: (*call).callerIdentity},
	{name: "GetDelegatedAccessToken", does: "exchanges a token for credentials"},
	{name: "GetFederationToken", does: "temporary credentials of a federated user"},
	{name: "GetSessionToken", does: "temporary credentials with MFA"},
	{name: "GetWebIdentityToken", does: "a JSON web token of the caller"},
}

// callerIdentity answers as to the root user of the account.
func (c *call) callerIdentity() (any, error) {
	return struct {
		ARN     string `xml:"Arn"`
		UserID  string `xml:"UserId"`
		Account string
	}{c.principal(), c.account, c.account}, nil
}

// principal is the ARN of the caller: the root user of an account.
func (c *call) principal() string {
	return "arn:" + partition(c.region) + ":iam::" + c.account + ":root"
}
