// Without a token of the page's own, put one into the headers below.
const { authorization } = document.body.dataset;
const headers = authorization ? { Authorization: authorization } : {};
const defaultQuery = `# An account, its last rewards and its last purchases. Ctrl-Enter sends it.
{
  rewardAccount {
    accountId
    balances { currency won { minor exponent } credited { minor exponent } }
    rewards(first: 5) { nodes { status wonAt amount { minor currency exponent } campaign { name } } }
    transactions(first: 5) {
      nodes { transactionId bookedAt decision { outcome explanation { message } } }
    }
  }
}
`;
ReactDOM.createRoot(document.getElementById("graphiql")).render(
  React.createElement(GraphiQL, {
    fetcher: GraphiQL.createFetcher({ url: "/graphql", headers }),
    defaultEditorToolsVisibility: authorization ? true : "headers",
    defaultHeaders: authorization ? undefined : '{ "Authorization": "Bearer TOKEN" }',
    defaultQuery,
  })
);
