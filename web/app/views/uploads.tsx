export function UploadsView() {
  return null
}

export function UploadView() {
  return null
}
