export function ServiceView() {
  return null
}
