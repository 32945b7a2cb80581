//! Functions of images, on a system that mounts none: they are refused.
//!
//! All that is about images and not about running them, such as `firesteel image add`, is as on Linux.

use firesteel_invoke::{ImageError, ImageReference, Images};

use crate::cli::ImageStoreArguments;
use crate::data_folder::DataFolder;
use crate::door::Outside;

/// None.
pub(crate) struct FunctionImages;

impl FunctionImages {
    pub(crate) fn new(_: &ImageStoreArguments, _: Outside, _: &DataFolder) -> Self {
        FunctionImages
    }

    /// What says so to whoever wants one.
    pub(crate) fn images(&self) -> Images {
        Images::new(|ImageReference { uri, .. }| async move {
            Err(ImageError::Failed { uri, source: "functions of images are run on Linux alone".into() })
        })
    }

    /// None was.
    pub(crate) async fn started(&self) {}
}
