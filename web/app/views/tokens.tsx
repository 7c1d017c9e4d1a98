export function TokensView() {
  return null
}
